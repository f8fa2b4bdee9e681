//! The config file of `fangshi serve`: TOML, read with lines, so that an error names key, file, line and what is
//! expected. `keys` is the list of all keys: `fangshi config keys` prints it, and
//! `fangshi.example.toml` shows them in use.

mod addresses;
mod alerts;
mod component;
mod custody;
mod http;
mod keys;
mod plans;
mod problem;
mod reader;
mod reconcile;
#[cfg(test)]
mod tests;
mod uploads;
mod weights;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fangshi_console::TrustedKeys;
use fangshi_database::TenantId;
use fangshi_lanes::Plans;
use fangshi_operations::OutsideConfig;
use fangshi_reconcile::ReconcileConfig;
use fangshi_tenants::{Kek, Retention, UploadLimits};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::compile::CompileLimits;
pub use alerts::Alerts;
pub use component::Component;
pub use custody::{KEY_VARIABLE, KeySource};
pub use keys::{KEYS, Kind, PLANS, limits, limits_of_plan};
pub use problem::ConfigError;
pub use reader::Environment;
use reader::{Found, Reader};

/// Characters that the token of the operator has at least.
const SHORTEST_OPERATOR_TOKEN: usize = 32;

/// A config that was read and found right.
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// Where to listen: an address and a port.
    pub listen: SocketAddr,
    /// Where merchants' browsers reach this host, without a slash at the end.
    pub public_url: Option<String>,
    /// The folder for the database and compiled plugins.
    pub data_dir: PathBuf,
    /// Bearer token of the admin API.
    pub operator_token: SecretString,
    /// Where the key-encryption key comes from.
    pub key: KeySource,
    /// The list of deleted tenants.
    pub erased_file: PathBuf,
    /// The platform's address, without a slash at the end.
    pub api_base: String,
    /// The platform's authorization pages, for computers and for phones.
    pub authorize_pages: (Url, Url),
    /// How often the list of authorized accounts is walked; `None`: never.
    pub authorizer_walk: Option<Duration>,
    /// How far the timestamp of a callback may be from the clock, either way.
    pub timestamp_window: Duration,
    /// The third-party platform; `None` if only self-built tenants are served.
    pub component: Option<Component>,
    /// Runs at once in the process.
    pub max_concurrent_runs: u32,
    /// What tenants may use.
    pub plans: Plans,
    /// Shares of tenants when runs have to wait; 1 for whoever is not named.
    pub tenant_weights: HashMap<TenantId, u32>,
    /// Largest plugin, bytes.
    pub max_plugin_bytes: usize,
    /// What one tenant may upload in all.
    pub uploads: UploadLimits,
    /// What all uploads under way may hold in memory, bytes.
    pub upload_memory: u64,
    /// How long the body of a request to the console may take.
    pub body_time: Duration,
    /// Who must have signed an upload; `None`: nobody.
    pub trusted: Option<TrustedKeys>,
    /// Whether the operator must approve what a merchant uploaded.
    pub approval: bool,
    /// What compiling one plugin may take.
    pub compile: CompileLimits,
    /// How long a shutdown waits for runs.
    pub shutdown: Duration,
    /// How reconciliation goes; `None`: not at all.
    pub reconcile: Option<ReconcileConfig>,
    /// How long the data of revoked tenants stays.
    pub retention: Retention,
    /// Whom to tell of what.
    pub alerts: Alerts,
    /// Whether files and ports that are never made are closed.
    pub landlock: bool,
    /// Whether system calls that are never made are closed.
    pub seccomp: bool,
    /// How outside hosts are reached that merchants approved.
    pub http: OutsideConfig,
    /// Form of the logs.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file with the process's environment.
    pub fn load(file: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let message = format!("expected a readable config file in TOML: {error}");
            ConfigError::whole_file(file, None, message)
        })?;
        Config::parse(file, &text, &|name| std::env::var(name).ok())
    }

    /// Reads a text as if it were that file.
    pub fn parse(file: &Path, text: &str, environment: Environment<'_>) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(file, text, environment)?;
        let listen = addresses::listen(&mut reader);
        let data_dir = reader.path(&keys::DATA_DIR);
        if data_dir.is_none() {
            need(&mut reader, &keys::DATA_DIR);
        }
        let public_url = addresses::public_url(&mut reader);
        let operator_token = read_operator_token(&mut reader);
        let key = custody::key(&mut reader, file, environment);
        let erased_file = custody::erased_file(&mut reader, file, &key);
        let api_base = addresses::api_base(&mut reader);
        let authorize_pages = addresses::authorize_pages(&mut reader);
        let walk_minutes = reader.number(&keys::AUTHORIZER_WALK_MINUTES).unwrap_or(60);
        let window_hours = reader.number(&keys::TIMESTAMP_WINDOW).unwrap_or(24);
        let component = component::read(&mut reader);
        let max_concurrent_runs = reader.number(&keys::MAX_CONCURRENT_RUNS).unwrap_or(64) as u32;
        let plans = plans::read(&mut reader);
        let tenant_weights = weights::read(&mut reader);
        let max_plugin_bytes = reader.number(&keys::MAX_PLUGIN_BYTES).unwrap_or(32 << 20);
        let uploads = uploads::limits(&mut reader);
        let upload_memory = reader.number(&keys::UPLOAD_MEMORY).unwrap_or(256 << 20);
        let body_seconds = reader.number(&keys::BODY_SECONDS).unwrap_or(120);
        let trusted = uploads::trusted(&mut reader);
        let approval = uploads::approval(&mut reader);
        let compile = uploads::compile(&mut reader);
        let shutdown = reader.number(&keys::SHUTDOWN_SECONDS).unwrap_or(20);
        let reconcile = reconcile::read(&mut reader);
        let retention = read_retention(&mut reader);
        let alerts = alerts::read(&mut reader);
        let landlock = choice(&mut reader, &keys::LANDLOCK, ["on", "off"], "on") == "on";
        let seccomp = choice(&mut reader, &keys::SECCOMP, ["on", "off"], "on") == "on";
        let http = OutsideConfig {
            own_name: public_url.as_deref().and_then(host_of_url),
            listens_on: Some(listen.ip()),
            ..http::read(&mut reader)
        };
        let log_format = read_log_format(&mut reader);
        reader.finish()?;
        // Both are there: a missing one is a problem, and `finish` would have ended it.
        let (Some(data_dir), Some(operator_token), (Some(pc_page), Some(h5_page))) =
            (data_dir, operator_token, authorize_pages)
        else {
            return Err(ConfigError::whole_file(file, None, "incomplete"));
        };
        Ok(Config {
            file: file.to_owned(),
            listen,
            public_url,
            data_dir,
            operator_token,
            key,
            erased_file,
            api_base,
            authorize_pages: (pc_page, h5_page),
            authorizer_walk: (walk_minutes > 0).then(|| Duration::from_secs(walk_minutes * 60)),
            timestamp_window: Duration::from_secs(window_hours * 3_600),
            component,
            max_concurrent_runs,
            plans,
            tenant_weights,
            max_plugin_bytes: max_plugin_bytes as usize,
            uploads,
            upload_memory,
            body_time: Duration::from_secs(body_seconds),
            trusted,
            approval,
            compile,
            shutdown: Duration::from_secs(shutdown),
            reconcile,
            retention,
            alerts,
            landlock,
            seccomp,
            http,
            log_format,
        })
    }

    /// Opens the key file, if it is there already: one that holds no key would end the start.
    pub fn check_key_file(&self) -> Result<(), ConfigError> {
        let KeySource::File(file) = &self.key else { return Ok(()) };
        if !file.exists() {
            return Ok(());
        }
        let read = Kek::from_file(file);
        read.map(drop).map_err(|error| {
            let message = format!("expected a readable key file; found: {error}");
            ConfigError { problems: vec![keys::KEY_FILE.problem(&self.file, message)] }
        })
    }

    /// What is allowed but unwise, for the log.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let KeySource::File(file) = &self.key
            && file.starts_with(&self.data_dir)
        {
            warnings.push(format!(
                "custody.key_file {} lies in data_dir: a backup of the folder would hold the key to its own data",
                file.display()
            ));
        }
        if self.erased_file.starts_with(&self.data_dir) {
            warnings.push(format!(
                "custody.erased_file {} lies in data_dir: who is deleted would be lost with the store that says so",
                self.erased_file.display()
            ));
        }
        if !self.listen.ip().is_loopback() {
            warnings.push(format!(
                "listen {} is open to the network without TLS: put a proxy before it that passes /callback, /authorize and /merchant only",
                self.listen
            ));
        }
        warnings
    }
}

/// A missing key, unless a wrong value of it was already reported.
fn need(reader: &mut Reader<'_>, key: &keys::Key) {
    if !reader.reported(&key.path()) {
        reader.missing(key, "");
    }
}

/// One of two words; `usual` where the key is absent or holds another.
fn choice<'a>(reader: &mut Reader<'_>, key: &'static keys::Key, of: [&'a str; 2], usual: &'a str) -> &'a str {
    let Some(Found { value, line }) = reader.text(key) else { return usual };
    of.into_iter().find(|word| *word == value).unwrap_or_else(|| {
        reader.wrong(key, line, &format!("\"{value}\""));
        usual
    })
}

fn read_operator_token(reader: &mut Reader<'_>) -> Option<SecretString> {
    let Some(found) = reader.secret(&keys::OPERATOR_TOKEN) else {
        need(reader, &keys::OPERATOR_TOKEN);
        return None;
    };
    let token = found.value.expose_secret();
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.wrong(&keys::OPERATOR_TOKEN, found.line, "other characters");
        return None;
    }
    // Whoever has it reaches every shop: it must be beyond guessing.
    if token.len() < SHORTEST_OPERATOR_TOKEN {
        let shown = format!("a token of {} characters", token.len());
        reader.wrong(&keys::OPERATOR_TOKEN, found.line, &shown);
        return None;
    }
    Some(found.value)
}

/// The name under which browsers and the platform reach this host.
fn host_of_url(url: &str) -> Option<String> {
    Url::parse(url).ok()?.domain().map(str::to_owned)
}

/// `keep`, or a number and `days`.
fn read_retention(reader: &mut Reader<'_>) -> Retention {
    let Some(Found { value, line }) = reader.text(&keys::RETENTION_REVOKED) else {
        return Retention::default();
    };
    if value == "keep" {
        return Retention::Keep;
    }
    let days = value.strip_suffix(" days").or_else(|| value.strip_suffix(" day")).and_then(|days| days.parse().ok());
    match days {
        Some(days @ 0..=36_500) => Retention::Days(days),
        _ => {
            reader.wrong(&keys::RETENTION_REVOKED, line, &format!("\"{value}\""));
            Retention::default()
        }
    }
}

fn read_log_format(reader: &mut Reader<'_>) -> LogFormat {
    let Some(Found { value, line }) = reader.text(&keys::LOG_FORMAT) else {
        return LogFormat::Text;
    };
    match value.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => {
            reader.wrong(&keys::LOG_FORMAT, line, &format!("\"{other}\""));
            LogFormat::Text
        }
    }
}
