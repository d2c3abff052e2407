"""Prints the peak of this process' memory, and what `getrusage` takes for it, in MB."""

import resource

from training.studies.memory import peak_mb

print(peak_mb(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
