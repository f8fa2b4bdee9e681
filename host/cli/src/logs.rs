//! Log lines on standard error, as text or JSON; `RUST_LOG` chooses what is shown.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Shown without `RUST_LOG`: the host's own steps, and only trouble from libraries.
const DEFAULT_FILTER: &str = "info,hyper=warn,sqlx=warn,wasmtime=warn,cranelift=warn,reqwest=warn";

/// Libraries of HTTP print request lines and headers below info, and those hold the platform's tokens.
const CAPPED: [&str; 6] = ["h2", "hyper", "hyper_rustls", "hyper_util", "reqwest", "rustls"];

/// Whatever `RUST_LOG` asks for, nothing that can hold a secret is shown.
fn cap() -> Targets {
    Targets::new().with_default(LevelFilter::TRACE).with_targets(CAPPED.map(|library| (library, LevelFilter::INFO)))
}

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
        LogFormat::Text => lines.with_ansi(false).finish().with(cap()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().with(cap()).try_init(),
    };
    if let Some(error) = wrong {
        tracing::warn!(%error, "RUST_LOG can't be read, the default is taken: {DEFAULT_FILTER}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_uncovers_what_libraries_of_http_print() {
        for wanted in
            ["trace", "hyper=trace,reqwest=debug,h2=trace", "trace,hyper::proto::h1::role=trace,hyper_util=trace"]
        {
            let sink = Sink::default();
            let to = sink.clone();
            let lines = tracing_subscriber::fmt()
                .with_env_filter(EnvFilter::new(wanted))
                .with_writer(move || to.clone())
                .finish()
                .with(cap());
            tracing::subscriber::with_default(lines, || {
                tracing::trace!(target: "hyper::proto::h1::role", "GET /?access_token=CANARY");
                tracing::debug!(target: "reqwest::connect", "CANARY");
                tracing::debug!(target: "h2::codec", "CANARY");
                tracing::trace!(target: "hyper_util::client", "CANARY");
                tracing::info!(target: "hyper", "heard");
            });
            let shown = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
            assert!(shown.contains("heard"), "{wanted}: nothing is shown at all");
            assert!(!shown.contains("CANARY"), "{wanted}: {shown}");
        }
    }
}
