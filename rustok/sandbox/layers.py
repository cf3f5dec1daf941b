"""The layers between a hook and the machine. Apart, because a zygote loads little."""

LAYERS = ("namespaces", "landlock", "seccomp", "rlimits", "cpu_timer")
ALL_LAYERS = frozenset(LAYERS)
