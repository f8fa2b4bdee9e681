//! Test guests: one small plugin a behaviour, each a file in `behaviours/`, built into `target/guests/NAME.wasm` by
//! `cargo xtask guests`. The folders with a `plugin.js` are those in JavaScript, built likewise. `c/`, `python/` and
//! `spidermonkey/` are built by `cargo xtask languages`, in the world of `languages.wit`. `checks/` runs them all in the
//! runtime.
