//! Compiling in a process of its own: `fangshi serve` starts `fangshi compile` for each component ([`ChildCompiler`]), which
//! first gives up what it does not need and then reads the component ([`run`]).

mod child;
mod frame;
mod parent;

pub use child::{CompileArguments, run};
pub use parent::{ChildCompiler, CompileLimits};
