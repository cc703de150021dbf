/**
 * A run that tells how it goes. `train` is the loop, in slices that leave room for messages; it runs in a worker of its
 * own, or, where a page may have none, on the page's own thread in slices that fit between two frames.
 */
ResnetEdu.net.part("worker", function (net) {
  /** Milliseconds of training between two looks at the mail, in a worker and on the page's own thread. */
  const SLICE = { worker: 40, page: 8 };
  /** Curve points in one epoch. */
  const POINTS = 2;

  /** Come back after all that waits, at once: a timer would wait 4 ms each time. */
  const breathe = () =>
    new Promise((resolve) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        channel.port1.close();
        resolve();
      };
      channel.port2.postMessage(null);
    });

  /**
   * Train with these settings. `tell` hears {type: "ready" | "norms" | "point" | "end" | "error", …}; `control` is
   * {paused, steps, stopped, wake}: a paused run makes `steps` more steps and waits.
   */
  async function train(settings, tell, control, slice, data = net.digits()) {
    try {
      const { kernels: wanted, ...rest } = settings;
      const kernels = await net.kernels(wanted);
      const run = new net.Training(rest, data, kernels);
      const convolutions = run.network.gradientNorms().length;
      tell({ type: "ready", kernels: kernels.name, total: run.total, perEpoch: run.perEpoch, parameters: run.network.size, convolutions });
      const every = Math.max(1, Math.floor(run.perEpoch / POINTS));
      let busy = 0;
      let from = performance.now();
      while (!run.finished && !control.stopped) {
        run.step();
        const now = performance.now();
        if (control.steps > 0) control.steps--;
        // The gradients change most at the start.
        if (run.done === 1 || run.done % Math.ceil(every / 4) === 0) tell({ type: "norms", norms: run.network.gradientNorms() });
        if (run.done % every === 0 || run.finished || (control.paused && control.steps === 0)) {
          const seconds = (busy + now - from) / 1000;
          tell({ type: "point", ...run.look(), seconds, norms: run.network.gradientNorms(), images: run.done * run.settings.batch });
        }
        if (now - from > slice || control.paused) {
          busy += now - from;
          do {
            await breathe();
            if (control.paused && control.steps === 0 && !control.stopped) await new Promise((resolve) => (control.wake = resolve));
          } while (control.paused && control.steps === 0 && !control.stopped);
          from = performance.now();
        }
      }
      if (control.stopped) return;
      busy += performance.now() - from;
      tell({ type: "end", ...run.verdict(), seconds: busy / 1000, bytes: kernels.bytes, network: run.network.packed() });
    } catch (error) {
      tell({ type: "error", message: error.message, ours: error instanceof net.ProgramError });
    }
  }

  /** What a message does to a run's control. */
  function obey(control, { order, steps = 1 }) {
    if (order === "pause") control.paused = true;
    if (order === "go") control.paused = false;
    if (order === "step") {
      control.paused = true;
      control.steps = steps;
    }
    if (order === "stop") control.stopped = true;
    control.wake?.();
  }

  const fresh = () => ({ paused: false, steps: 0, stopped: false, wake: null });

  /** The worker's side: one run, and orders to it. */
  function serve(scope) {
    const control = fresh();
    scope.onmessage = ({ data }) => {
      if (data.settings) train(data.settings, (message) => scope.postMessage(message), control, SLICE.worker);
      else obey(control, data);
    };
  }

  /**
   * Start a run: {order(name, steps), stop()}. It is in a worker if the page may have one; `told` hears
   * {type: "where", worker} first.
   */
  function start(settings, told) {
    let worker = null;
    try {
      const address = URL.createObjectURL(new Blob([`${net.source()}\nnet.serve(self);`], { type: "text/javascript" }));
      worker = new Worker(address);
      URL.revokeObjectURL(address);
    } catch {
      return here(settings, told);
    }
    let heard = false;
    let fallback = null;
    const close = () => worker.terminate();
    worker.onmessage = ({ data }) => {
      if (!heard) told({ type: "where", worker: true });
      heard = true;
      told(data);
      if (data.type === "end" || data.type === "error") close();
    };
    // A policy of the page may forbid the worker only once it loads.
    worker.onerror = (event) => {
      event.preventDefault?.();
      close();
      if (!heard) fallback = here(settings, told);
      else told({ type: "error", message: event.message || "the worker stopped", ours: false });
    };
    worker.postMessage({ settings });
    return {
      order: (order, steps) => (fallback ? fallback.order(order, steps) : worker.postMessage({ order, steps })),
      stop: () => (fallback ? fallback.stop() : close()),
    };
  }

  /** The same on this thread. */
  function here(settings, told) {
    const control = fresh();
    told({ type: "where", worker: false });
    train(settings, (message) => control.stopped || told(message), control, SLICE.page);
    return { order: (order, steps) => obey(control, { order, steps }), stop: () => obey(control, { order: "stop" }) };
  }

  Object.assign(net, { train, serve, start, here });
});
