"""The tests; TensorFlow runs in them as in the command lines."""

import training  # noqa: F401 - settings that have to be made before TensorFlow is imported
