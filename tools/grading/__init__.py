"""Labs that a class hands in: what is made of a master, and a grader that learners' code cannot lie to.

In the order in which a lab meets them: `master` reads a lab for a class's seed, `notebook` and `gradescope` write what
students and servers get, `submission` reads what comes back, `walls` shuts the learner's process in, `learner` runs in
there and sends numbers through `wire`, `grader` compares them with the reference, `naming` asks the checker for a
mistake's name, and `classroom` does it for a folder.
"""
