//! The config file of `fangshi serve`: TOML, read with lines, so that an error names key, file, line and what is
//! expected. `keys` is the list of all keys: `fangshi config keys` prints it, and
//! `fangshi.example.toml` shows them in use.

mod http;
mod keys;
mod problem;
mod reader;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fangshi_console::TrustedKeys;
use fangshi_database::TenantId;
use fangshi_lanes::{COMPONENT_BYTES, Plans, RUNS_AT_ONCE};
use fangshi_operations::OutsideConfig;
use fangshi_reconcile::{FullPassAt, ReconcileConfig};
use fangshi_tenants::{Kek, Retention, UploadLimits};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::compile::CompileLimits;
pub use keys::{KEYS, Kind, PLANS, limits, limits_of_plan};
pub use problem::ConfigError;
pub use reader::Environment;
use reader::{Found, Reader, folder_of};

const PC_PAGE: &str = "https://mp.weixin.qq.com/cgi-bin/componentloginpage";
const H5_PAGE: &str = "https://open.weixin.qq.com/wxaopen/safe/bindcomponent";

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
    /// Whether system calls that are never made are closed.
    pub seccomp: bool,
    /// How outside hosts are reached that merchants approved.
    pub http: OutsideConfig,
    /// Form of the logs.
    pub log_format: LogFormat,
}

/// Alerts to the operator.
#[derive(Debug)]
pub struct Alerts {
    /// Where they are posted; `None`: nowhere. It may carry a key.
    pub webhook_url: Option<SecretString>,
    /// Signs them.
    pub webhook_secret: Option<SecretString>,
    /// For how long an event or a run may be overdue.
    pub backlog_old: Duration,
}

/// Where the key-encryption key comes from.
#[derive(Debug)]
pub enum KeySource {
    /// A file; made at the first start.
    File(PathBuf),
    /// The environment.
    Text(SecretString),
}

/// The third-party platform's own credentials.
#[derive(Debug)]
pub struct Component {
    /// Its appid, wx….
    pub appid: String,
    /// Its appsecret.
    pub appsecret: SecretString,
    /// Signs callbacks.
    pub token: SecretString,
    /// Encrypts callbacks.
    pub encoding_aes_key: SecretString,
    /// Encrypted callbacks before the last change.
    pub previous_encoding_aes_key: Option<SecretString>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The environment variable that may hold the key-encryption key, 64 hex digits, instead of a file.
pub const KEY_VARIABLE: &str = "FANGSHI_CUSTODY_KEY";

/// Characters that the token of the operator has at least.
const SHORTEST_OPERATOR_TOKEN: usize = 32;

/// The key file's name beside the config file, if `custody.key_file` is not set.
const KEY_FILE_NAME: &str = "fangshi.key";
/// The list of deletions beside the key file, if `custody.erased_file` is not set.
const ERASED_FILE_NAME: &str = "fangshi.erased";

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
        let listen = read_listen(&mut reader);
        let data_dir = reader.path(&keys::DATA_DIR);
        if data_dir.is_none() {
            need(&mut reader, &keys::DATA_DIR);
        }
        let public_url = read_public_url(&mut reader);
        let operator_token = read_operator_token(&mut reader);
        let key_file = reader.path(&keys::KEY_FILE);
        let key = match environment(KEY_VARIABLE) {
            Some(text) => {
                let text = SecretString::from(text);
                if Kek::from_text(&text, KEY_VARIABLE).is_err() {
                    reader
                        .wrong_variable(KEY_VARIABLE, "expected 64 hex digits in the environment; found another text");
                }
                KeySource::Text(text)
            }
            None => KeySource::File(key_file.unwrap_or_else(|| folder_of(file).join(KEY_FILE_NAME))),
        };
        let erased_file = reader.path(&keys::ERASED_FILE).unwrap_or_else(|| match &key {
            KeySource::File(key) => key.with_file_name(ERASED_FILE_NAME),
            KeySource::Text(_) => folder_of(file).join(ERASED_FILE_NAME),
        });
        let api_base = read_api_base(&mut reader);
        let authorize_pages = (
            read_page(&mut reader, &keys::AUTHORIZE_PC_URL, PC_PAGE),
            read_page(&mut reader, &keys::AUTHORIZE_H5_URL, H5_PAGE),
        );
        let walk_minutes = reader.number(&keys::AUTHORIZER_WALK_MINUTES).unwrap_or(60);
        let component = read_component(&mut reader);
        let max_concurrent_runs = reader.number(&keys::MAX_CONCURRENT_RUNS).unwrap_or(64) as u32;
        let plans = read_plans(&mut reader);
        let tenant_weights = weights::read(&mut reader);
        let max_plugin_bytes = reader.number(&keys::MAX_PLUGIN_BYTES).unwrap_or(32 << 20);
        let uploads = read_uploads(&mut reader);
        let trusted = read_trusted(&mut reader);
        let approval = choice(&mut reader, &keys::APPROVAL, ["none", "operator"], "none") == "operator";
        let compile = read_compile(&mut reader);
        let shutdown = reader.number(&keys::SHUTDOWN_SECONDS).unwrap_or(20);
        let reconcile = read_reconcile(&mut reader);
        let retention = read_retention(&mut reader);
        let alerts = read_alerts(&mut reader);
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
            component,
            max_concurrent_runs,
            plans,
            tenant_weights,
            max_plugin_bytes: max_plugin_bytes as usize,
            uploads,
            trusted,
            approval,
            compile,
            shutdown: Duration::from_secs(shutdown),
            reconcile,
            retention,
            alerts,
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

fn read_listen(reader: &mut Reader<'_>) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let Some(Found { value, line }) = reader.text(&keys::LISTEN) else {
        return default;
    };
    // "localhost" is no address; it means this machine, and asks no resolver.
    let address = match value.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => value.clone(),
    };
    address.parse().unwrap_or_else(|_| {
        reader.wrong(&keys::LISTEN, line, &format!("\"{value}\""));
        default
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

fn read_api_base(reader: &mut Reader<'_>) -> String {
    let default = "https://api.weixin.qq.com";
    let Some(Found { value, line }) = reader.text(&keys::API_BASE) else {
        return default.to_owned();
    };
    let base = value.trim_end_matches('/');
    if is_api_base(base) {
        return base.to_owned();
    }
    // Not the value itself: an address may carry a password.
    reader.wrong(&keys::API_BASE, line, "another form of address");
    default.to_owned()
}

fn read_public_url(reader: &mut Reader<'_>) -> Option<String> {
    let Found { value, line } = reader.text(&keys::PUBLIC_URL)?;
    let base = value.trim_end_matches('/');
    if is_api_base(base) {
        return Some(base.to_owned());
    }
    reader.wrong(&keys::PUBLIC_URL, line, "another form of address");
    None
}

/// The name under which browsers and the platform reach this host.
fn host_of_url(url: &str) -> Option<String> {
    Url::parse(url).ok()?.domain().map(str::to_owned)
}

/// An address with a path and without a query; plain http for this machine alone.
fn read_page(reader: &mut Reader<'_>, key: &keys::Key, default: &str) -> Option<Url> {
    let found = reader.text(key);
    let (value, line) = found.map_or((default.to_owned(), None), |found| (found.value, found.line));
    let url = Url::parse(&value).ok().filter(|url| {
        let nobody = url.username().is_empty() && url.password().is_none();
        let bare = nobody && url.query().is_none() && url.fragment().is_none();
        bare && is_api_base(&url.origin().ascii_serialization())
    });
    if url.is_none() {
        reader.wrong(key, line, "another form of address");
    }
    url
}

/// https with any host, or http with this machine (the token travels in the address's query); no path behind it.
fn is_api_base(base: &str) -> bool {
    let bare = |rest: &str| !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ', '\\']);
    if let Some(rest) = base.strip_prefix("https://") {
        return bare(rest);
    }
    let Some(rest) = base.strip_prefix("http://") else {
        return false;
    };
    if let Ok(address) = rest.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let host = rest.split(':').next().unwrap_or_default();
    let loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    bare(rest) && (loopback || host == "localhost")
}

/// All four of the component's credentials, or none.
fn read_component(reader: &mut Reader<'_>) -> Option<Component> {
    let appid = reader.text(&keys::COMPONENT_APPID);
    let appid = appid.and_then(|found| {
        if found.value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(found.value);
        }
        let shown = format!("\"{}\"", found.value);
        reader.wrong(&keys::COMPONENT_APPID, found.line, &shown);
        None
    });
    let appsecret = reader.secret(&keys::COMPONENT_APPSECRET).map(|found| found.value);
    let token = reader.secret(&keys::WEIXIN_TOKEN).map(|found| found.value);
    let aes_key = read_aes_key(reader, &keys::AES_KEY);
    let previous = read_aes_key(reader, &keys::PREVIOUS_AES_KEY);
    let given = [appid.is_some(), appsecret.is_some(), token.is_some(), aes_key.is_some(), previous.is_some()];
    if !given.contains(&true) {
        return None;
    }
    let needed = [
        (&keys::COMPONENT_APPID, appid.is_some()),
        (&keys::COMPONENT_APPSECRET, appsecret.is_some()),
        (&keys::WEIXIN_TOKEN, token.is_some()),
        (&keys::AES_KEY, aes_key.is_some()),
    ];
    for (key, there) in needed {
        if !there && !reader.reported(&key.path()) {
            reader.missing(key, ", and needed since other component keys of [weixin] are given");
        }
    }
    Some(Component {
        appid: appid?,
        appsecret: appsecret?,
        token: token?,
        encoding_aes_key: aes_key?,
        previous_encoding_aes_key: previous,
    })
}

fn read_aes_key(reader: &mut Reader<'_>, key: &keys::Key) -> Option<SecretString> {
    let found = reader.secret(key)?;
    let text = found.value.expose_secret();
    let right =
        text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    if right {
        return Some(found.value);
    }
    let shown = format!("{} characters, or others than these", text.chars().count());
    reader.wrong(key, found.line, &shown);
    None
}

fn read_uploads(reader: &mut Reader<'_>) -> UploadLimits {
    let default = UploadLimits::default();
    let versions = reader.number(&keys::PLUGIN_VERSIONS_PER_TENANT);
    UploadLimits {
        versions: versions.and_then(|versions| u32::try_from(versions).ok()).unwrap_or(default.versions),
        bytes: reader.number(&keys::PLUGIN_BYTES_PER_TENANT).unwrap_or(default.bytes),
    }
}

/// `runs_per_tenant` and `max_plugin_bytes` are the names of everybody's runs at once and component bytes.
fn read_plans(reader: &mut Reader<'_>) -> Plans {
    let mut everybody = reader.figures();
    let known = [(RUNS_AT_ONCE, &keys::RUNS_PER_TENANT), (COMPONENT_BYTES, &keys::MAX_PLUGIN_BYTES)];
    for (name, key) in known {
        if let Some(number) = reader.number(key) {
            everybody.insert(name.to_owned(), number);
        }
    }
    Plans { everybody, named: reader.plans() }
}

/// Wrong keys are told of even where no signature is required: they would be missed on the day it is.
/// One of two words; `usual` where the key is absent or holds another.
fn choice<'a>(reader: &mut Reader<'_>, key: &'static keys::Key, of: [&'a str; 2], usual: &'a str) -> &'a str {
    let Some(Found { value, line }) = reader.text(key) else { return usual };
    of.into_iter().find(|word| *word == value).unwrap_or_else(|| {
        reader.wrong(key, line, &format!("\"{value}\""));
        usual
    })
}

fn read_trusted(reader: &mut Reader<'_>) -> Option<TrustedKeys> {
    let required = choice(reader, &keys::SIGNATURES, ["off", "required"], "off") == "required";
    let found = reader.texts(&keys::TRUSTED_KEYS);
    let line = found.as_ref().and_then(|found| found.line);
    let given = found.map(|found| found.value).unwrap_or_default();
    match TrustedKeys::new(&given) {
        Ok(trusted) => required.then_some(trusted),
        Err(at) => {
            if let Some(key) = given.get(at) {
                reader.wrong(&keys::TRUSTED_KEYS, line, &format!("\"{key}\""));
            } else if required && !reader.reported(&keys::TRUSTED_KEYS.path()) {
                reader.missing(&keys::TRUSTED_KEYS, "");
            }
            None
        }
    }
}

fn read_compile(reader: &mut Reader<'_>) -> CompileLimits {
    CompileLimits {
        seconds: reader.number(&keys::COMPILE_SECONDS).unwrap_or(120),
        memory_bytes: reader.number(&keys::COMPILE_MEMORY).unwrap_or(2 << 30),
        code_bytes: reader.number(&keys::COMPILED_BYTES).unwrap_or(128 << 20),
    }
}

fn read_reconcile(reader: &mut Reader<'_>) -> Option<ReconcileConfig> {
    let mut read = ReconcileConfig::default();
    if let Some(Found { value, line }) = reader.text(&keys::RECONCILE_FULL_PASS_AT) {
        match FullPassAt::parse(&value) {
            Some(at) => read.full_pass_at = at,
            None => reader.wrong(&keys::RECONCILE_FULL_PASS_AT, line, &format!("\"{value}\"")),
        }
    }
    if let Some(seconds) = reader.number(&keys::RECONCILE_INTERVAL) {
        read.interval = Duration::from_secs(seconds);
    }
    if let Some(seconds) = reader.number(&keys::RECONCILE_GRACE) {
        read.grace = Duration::from_secs(seconds);
    }
    if let Some(days) = reader.number(&keys::RECONCILE_FULL_DAYS) {
        read.full_days = days as u32;
    }
    if let Some(calls) = reader.number(&keys::RECONCILE_CALLS) {
        read.calls_per_minute = calls as u32;
    }
    if let Some(calls) = reader.number(&keys::RECONCILE_CALLS_A_DAY) {
        read.calls_per_day = calls as u32;
    }
    match reader.text(&keys::RECONCILE_STATE) {
        Some(Found { value, .. }) if value == "off" => None,
        Some(Found { value, line }) if value != "on" => {
            reader.wrong(&keys::RECONCILE_STATE, line, &format!("\"{value}\""));
            None
        }
        _ => Some(read),
    }
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

fn read_alerts(reader: &mut Reader<'_>) -> Alerts {
    let url = reader.secret(&keys::WEBHOOK_URL);
    let webhook_url = url.and_then(|found| {
        let text = found.value.expose_secret();
        let right = Url::parse(text).is_ok_and(|url| is_api_base(&url.origin().ascii_serialization()));
        if !right {
            reader.wrong(&keys::WEBHOOK_URL, found.line, "another form of address");
        }
        right.then_some(found.value)
    });
    let webhook_secret = reader.secret(&keys::WEBHOOK_SECRET).map(|found| found.value);
    let minutes = reader.number(&keys::BACKLOG_MINUTES).unwrap_or(30);
    Alerts { webhook_url, webhook_secret, backlog_old: Duration::from_secs(minutes * 60) }
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
