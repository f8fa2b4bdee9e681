//! The contract's imports as Rust functions, made from `wit/` when the crate is built.
//!
//! A function that a plugin does not call leaves no trace in its component, so the component asks for no grant that its
//! code can't use.
#![allow(missing_docs, unsafe_code, clippy::all)]

wit_bindgen::generate!({
    path: ["../../../wit/host", "../../../wit/store"],
    world: "fangshi:store/imports",
    additional_derives: [PartialEq, Eq],
    generate_all,
});
