//! Log lines on standard error, as text or JSON; `RUST_LOG` chooses what is shown.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Shown without `RUST_LOG`: the host's own steps, and only trouble from libraries.
const DEFAULT_FILTER: &str = "info,hyper=warn,sqlx=warn,wasmtime=warn,cranelift=warn,reqwest=warn";

/// Starts logging for the process. A `RUST_LOG` that can't be read is told of, and the default is taken.
pub fn start(format: LogFormat) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let (filter, wrong) = match wanted.trim() {
        "" => (EnvFilter::new(DEFAULT_FILTER), None),
        text => match EnvFilter::try_new(text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
        },
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (in tests) keeps the first: nothing to tell of.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Some(error) = wrong {
        tracing::warn!(%error, "RUST_LOG can't be read, the default is taken: {DEFAULT_FILTER}");
    }
}
