//! Inputs of strangers, by the thousand and none as it should be: whatever comes, the host answers or refuses, and never
//! panics. Each target is one way in; what it is fed is made of true inputs by [`mutate`].
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use async_trait::async_trait;
use futures_util::FutureExt;
use rand::rngs::StdRng;

mod answers;
mod callbacks;
mod host_calls;
mod mutate;
mod rows;
mod sandbox;

pub use mutate::LONGEST;

/// One way in.
#[async_trait]
pub trait Target: Send {
    fn name(&self) -> &'static str;
    /// True inputs, to begin with.
    fn seeds(&self) -> Vec<Vec<u8>>;
    /// Feeds one. An error is an answer that the host must not give.
    async fn feed(&mut self, input: &[u8]) -> Result<()>;
}

/// Their names. `tests/fuzz` has a binary for each.
pub const NAMES: [&str; 8] = [
    "callback-query",
    "callback-body",
    "decrypted",
    "api-answers",
    "component-upload",
    "host-call-arguments",
    "settings",
    "journal-rows",
];

/// The way in of a name.
pub async fn target(name: &str) -> Result<Box<dyn Target>> {
    Ok(match name {
        "callback-query" => Box::new(callbacks::Query),
        "callback-body" => Box::new(callbacks::Body::new()?),
        "decrypted" => Box::new(callbacks::Decrypted),
        "api-answers" => Box::new(answers::Answers::start().await?),
        "component-upload" => Box::new(sandbox::Upload::new()?),
        "host-call-arguments" => Box::new(host_calls::HostCalls::load().await?),
        "settings" => Box::new(sandbox::Settings::load().await?),
        "journal-rows" => Box::new(rows::Rows::open().await?),
        other => bail!("there is no way in named {other}"),
    })
}

/// All of them.
pub async fn targets() -> Result<Vec<Box<dyn Target>>> {
    let mut targets = Vec::new();
    for name in NAMES {
        targets.push(target(name).await?);
    }
    Ok(targets)
}

/// How long a target is fed.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    Inputs(u64),
    Time(Duration),
}

/// What came of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub inputs: u64,
    pub crashes: u64,
}

/// Feeds a target.
#[allow(clippy::print_stdout, reason = "whoever reads the figures wants the input of a crash")]
pub async fn feed(target: &mut dyn Target, budget: Budget, random: &mut StdRng) -> Counts {
    let (seeds, begun, mut counts) = (target.seeds(), Instant::now(), Counts::default());
    let goes_on = |counts: &Counts| match budget {
        Budget::Inputs(inputs) => counts.inputs < inputs,
        Budget::Time(time) => begun.elapsed() < time,
    };
    while goes_on(&counts) {
        let input = mutate::one(&seeds, random);
        counts.inputs += 1;
        let answer = AssertUnwindSafe(target.feed(&input)).catch_unwind().await;
        let crash = match answer {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "a panic".to_owned(),
        };
        counts.crashes += 1;
        let shown = String::from_utf8_lossy(&input[..input.len().min(400)]).into_owned();
        println!("{}: {crash}, by {} bytes: {shown:?}", target.name(), input.len());
    }
    counts
}
