//! One way in, fed by libFuzzer: the very target that the fault tests feed with changes of their own.
#![allow(missing_docs)]

use std::sync::{Mutex, OnceLock};

use fangshi_faults::fuzz::{self, Target};
use tokio::runtime::{Builder, Runtime};

struct Fed {
    runtime: Runtime,
    target: Box<dyn Target>,
}

/// Feeds the way in of this name. What the host must not answer ends the process, as a panic does.
pub fn feed(name: &str, input: &[u8]) {
    static FED: OnceLock<Mutex<Fed>> = OnceLock::new();
    let fed = FED.get_or_init(|| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("no runtime");
        let target = runtime.block_on(fuzz::target(name)).expect("the way in can't be opened");
        Mutex::new(Fed { runtime, target })
    });
    let mut fed = fed.lock().expect("an input before this one ended badly");
    let Fed { runtime, target } = &mut *fed;
    if let Err(error) = runtime.block_on(target.feed(input)) {
        panic!("{name}: {error:#}");
    }
}
