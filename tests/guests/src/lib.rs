//! Test guests: one small plugin a behaviour, each a file in `behaviours/`, built into `target/guests/NAME.wasm` by
//! `cargo xtask guests`. The folder `numbers-js/` is the one in JavaScript; `checks/` runs them all in the runtime.
