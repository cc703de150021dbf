// The operations of kernels.js for WebAssembly with SIMD, in float32: same names, same arguments.
// Addresses are pointers here. `python tools/kernels.py` builds them; no library and no memory of their own.
//
// The number of images N is a multiple of 8: two registers of four. No relaxed SIMD, no fast-math: the same
// bits on every machine.

typedef float f4 __attribute__((vector_size(16), aligned(4)));
typedef int i4 __attribute__((vector_size(16)));

#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))

INLINE f4 load(const float *at) { return *(const f4 *)at; }
INLINE void store(float *at, f4 value) { *(f4 *)at = value; }
INLINE f4 splat(float x) { return (f4){x, x, x, x}; }
INLINE float total(f4 v) { return (v[0] + v[1]) + (v[2] + v[3]); }

// B output channels by eight images stay in registers while channels and taps are summed.
INLINE void conv_channels(int B, float *y, const float *x, const float *w, const int *table, int pixels, int in_channels,
                          int in_pixels, int taps, int N) {
  const int *pairs = table + pixels + 1;
  const int row = in_channels * taps;
  for (int n = 0; n < N; n += 8) {
    for (int q = 0; q < pixels; q++) {
      const int *first = pairs + 2 * table[q], *last = pairs + 2 * table[q + 1];
      f4 low[4] = {0}, high[4] = {0};
      for (int c = 0; c < in_channels; c++) {
        const float *from = x + c * in_pixels * N + n;
        const float *weights = w + c * taps;
        for (const int *pair = first; pair < last; pair += 2) {
          const float *at = from + pair[0] * N;
          const float *tap = weights + pair[1];
          const f4 a = load(at), b = load(at + 4);
#pragma unroll
          for (int o = 0; o < B; o++) {
            const f4 weight = splat(tap[o * row]);
            low[o] += weight * a;
            high[o] += weight * b;
          }
        }
      }
#pragma unroll
      for (int o = 0; o < B; o++) {
        float *to = y + (o * pixels + q) * N + n;
        store(to, low[o]);
        store(to + 4, high[o]);
      }
    }
  }
}

EXPORT(conv)
void conv(float *y, const float *x, const float *w, const int *table, int pixels, int in_channels, int in_pixels,
          int channels, int taps, int N) {
  int o = 0;
  for (; o + 4 <= channels; o += 4)
    conv_channels(4, y + o * pixels * N, x, w + o * in_channels * taps, table, pixels, in_channels, in_pixels, taps, N);
  for (; o < channels; o++)
    conv_channels(1, y + o * pixels * N, x, w + o * in_channels * taps, table, pixels, in_channels, in_pixels, taps, N);
}

// B output channels by D input channels: B·D sums per tap stay in registers.
INLINE void conv_weights_channels(int B, int D, float *dw, const float *x, const float *dy, const int *table, int pixels,
                                  int in_channels, int in_pixels, int taps, int N) {
  const int *pairs = table + taps + 1;
  for (int t = 0; t < taps; t++) {
    f4 sums[8] = {0};
    for (const int *pair = pairs + 2 * table[t]; pair < pairs + 2 * table[t + 1]; pair += 2) {
      const float *a = x + pair[0] * N, *b = dy + pair[1] * N;
      for (int n = 0; n < N; n += 4) {
        f4 inputs[2];
#pragma unroll
        for (int d = 0; d < D; d++) inputs[d] = load(a + d * in_pixels * N + n);
#pragma unroll
        for (int o = 0; o < B; o++) {
          const f4 gradient = load(b + o * pixels * N + n);
#pragma unroll
          for (int d = 0; d < D; d++) sums[o * D + d] += gradient * inputs[d];
        }
      }
    }
#pragma unroll
    for (int o = 0; o < B; o++) {
#pragma unroll
      for (int d = 0; d < D; d++) dw[(o * in_channels + d) * taps + t] = total(sums[o * D + d]);
    }
  }
}

EXPORT(convWeights)
void conv_weights(float *dw, const float *x, const float *dy, const int *table, int pixels, int in_channels, int in_pixels,
                  int channels, int taps, int N) {
  int o = 0;
  for (; o + 4 <= channels; o += 4) {
    int c = 0;
    for (; c + 2 <= in_channels; c += 2)
      conv_weights_channels(4, 2, dw + (o * in_channels + c) * taps, x + c * in_pixels * N, dy + o * pixels * N, table,
                            pixels, in_channels, in_pixels, taps, N);
    for (; c < in_channels; c++)
      conv_weights_channels(4, 1, dw + (o * in_channels + c) * taps, x + c * in_pixels * N, dy + o * pixels * N, table,
                            pixels, in_channels, in_pixels, taps, N);
  }
  for (; o < channels; o++)
    for (int c = 0; c < in_channels; c++)
      conv_weights_channels(1, 1, dw + (o * in_channels + c) * taps, x + c * in_pixels * N, dy + o * pixels * N, table,
                            pixels, in_channels, in_pixels, taps, N);
}

EXPORT(turn)
void turn(float *turned, const float *w, int channels, int in_channels, int taps) {
  for (int o = 0; o < channels; o++)
    for (int c = 0; c < in_channels; c++)
      for (int t = 0; t < taps; t++) turned[(c * channels + o) * taps + t] = w[(o * in_channels + c) * taps + t];
}

EXPORT(normTrain)
void norm_train(float *y, const float *x, const float *scale, const float *shift, float *saved, float *running,
                int channels, int length, float epsilon, float momentum) {
  for (int c = 0; c < channels; c++, x += length, y += length) {
    f4 a = {0}, b = {0};
    for (int i = 0; i < length; i += 8) {
      a += load(x + i);
      b += load(x + i + 4);
    }
    const float mean = total(a + b) / (float)length;
    const f4 center = splat(mean);
    a = splat(0), b = splat(0);
    for (int i = 0; i < length; i += 8) {
      const f4 u = load(x + i) - center, v = load(x + i + 4) - center;
      a += u * u;
      b += v * v;
    }
    const float squares = total(a + b);
    const float inverse = 1 / __builtin_sqrtf(squares / (float)length + epsilon);
    const f4 factor = splat(scale[c] * inverse), offset = splat(shift[c]);
    for (int i = 0; i < length; i += 4) store(y + i, (load(x + i) - center) * factor + offset);
    saved[c] = mean;
    saved[channels + c] = inverse;
    running[c] += momentum * (mean - running[c]);
    running[channels + c] += momentum * (squares / (float)(length - 1) - running[channels + c]);
  }
}

EXPORT(normEval)
void norm_eval(float *y, const float *x, const float *scale, const float *shift, const float *running, int channels,
               int length, float epsilon) {
  for (int c = 0; c < channels; c++, x += length, y += length) {
    const f4 center = splat(running[c]), offset = splat(shift[c]);
    const f4 factor = splat(scale[c] / __builtin_sqrtf(running[channels + c] + epsilon));
    for (int i = 0; i < length; i += 4) store(y + i, (load(x + i) - center) * factor + offset);
  }
}

EXPORT(normBackward)
void norm_backward(float *dx, float *dscale, float *dshift, const float *dy, const float *x, const float *scale,
                   const float *saved, int channels, int length) {
  for (int c = 0; c < channels; c++, dx += length, dy += length, x += length) {
    const float inverse = saved[channels + c];
    const f4 center = splat(saved[c]);
    f4 a = {0}, b = {0}, s = {0}, t = {0};
    for (int i = 0; i < length; i += 8) {
      const f4 u = load(dy + i), v = load(dy + i + 4);
      a += u;
      b += v;
      s += u * (load(x + i) - center);
      t += v * (load(x + i + 4) - center);
    }
    const float sum = total(a + b), dot = total(s + t);
    dshift[c] = sum;
    dscale[c] = dot * inverse;
    const f4 factor = splat(scale[c] * inverse), level = splat(sum / (float)length);
    const f4 slope = splat(dot / (float)length * inverse * inverse);
    for (int i = 0; i < length; i += 4)
      store(dx + i, (load(dy + i) - level - (load(x + i) - center) * slope) * factor);
  }
}

// Where a comparison with NaN is false, NaN stays: the maximum instruction would turn it into 0.
INLINE f4 unless_negative(f4 value, f4 of) { return (f4)((i4)value & ~(i4)(of <= splat(0))); }

EXPORT(relu)
void relu(float *y, const float *x, int length) {
  for (int i = 0; i < length; i += 4) store(y + i, unless_negative(load(x + i), load(x + i)));
}

EXPORT(reluBackward)
void relu_backward(float *dx, const float *dy, const float *y, int length) {
  for (int i = 0; i < length; i += 4) store(dx + i, unless_negative(load(dy + i), load(y + i)));
}

EXPORT(add)
void add(float *y, const float *a, const float *b, int length) {
  for (int i = 0; i < length; i += 4) store(y + i, load(a + i) + load(b + i));
}

EXPORT(multiply)
void multiply(float *y, const float *a, const float *b, int length) {
  for (int i = 0; i < length; i += 4) store(y + i, load(a + i) * load(b + i));
}

EXPORT(scale)
void scale(float *y, const float *x, float factor, int length) {
  for (int i = 0; i < length; i += 4) store(y + i, load(x + i) * splat(factor));
}

EXPORT(dot)
float dot(const float *a, const float *b, int length) {
  f4 sum = {0};
  int i = 0;
  for (; i + 4 <= length; i += 4) sum += load(a + i) * load(b + i);
  float rest = 0;
  for (; i < length; i++) rest += a[i] * b[i];
  return total(sum) + rest;
}

EXPORT(dropMask)
void drop_mask(float *y, unsigned threshold, float keep, unsigned seed, int length) {
  unsigned state = seed ? seed : 1;
  for (int i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    y[i] = state < threshold ? 0 : keep;
  }
}

EXPORT(sgd)
void sgd(float *w, const float *gradient, float *velocity, int length, float rate, float momentum, float decay) {
  for (int i = 0; i < length; i++) {
    const float v = momentum * velocity[i] + (gradient[i] + decay * w[i]);
    velocity[i] = v;
    w[i] -= rate * v;
  }
}
