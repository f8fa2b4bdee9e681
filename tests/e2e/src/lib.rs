//! Behaviour across rooms. The tests are in `tests/`: each starts the real host process in a folder of its own, beside the
//! fake platform, and drives it as an operator would.
