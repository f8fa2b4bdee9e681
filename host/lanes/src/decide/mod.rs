//! The decisions: functions of state and input, without I/O and without time. The shell does what they say.

pub mod absorb;
pub mod choose;
pub mod conduct;
pub mod deadline;
pub mod divergence;
pub mod echo;
pub mod effect;
pub mod ending;
pub mod kept;
pub mod outside;
pub mod pace;
pub mod plan;
pub mod queue;
pub mod retry;
pub mod standing;
pub mod tick;
pub mod turns;
