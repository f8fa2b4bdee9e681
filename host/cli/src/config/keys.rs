//! The keys of a config file, one table: the reader refuses everything else, `fangshi config keys` prints it.

use std::path::Path;

use fangshi_lanes::{COMPONENT_BYTES, LimitRange, Plans, RUNS_AT_ONCE};

use super::problem::Problem;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A path; a relative one is relative to the config file's folder.
    Path,
    /// A secret: in the file, in a file of its own (`NAME_file`), or in the environment.
    Secret,
    /// A list of texts.
    Texts,
    /// A whole number within these bounds, both included.
    Number(u64, u64),
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Section, "" for the top of the file.
    pub section: &'static str,
    /// Name in its section.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What is expected, for errors and for the list of keys.
    pub expected: &'static str,
}

impl Key {
    /// The key with its section, such as `weixin.token`.
    pub fn path(&self) -> String {
        join(self.section, self.name)
    }

    /// What is wrong with this key, where no line is known.
    pub fn problem(&self, file: &Path, message: String) -> Problem {
        Problem { key: self.path(), file: file.to_owned(), line: None, message }
    }

    /// What is expected, with the range of a number.
    pub fn wanted(&self) -> String {
        match self.kind {
            Kind::Number(least, most) => format!("a whole number from {least} to {most}: {}", self.expected),
            _ => self.expected.to_owned(),
        }
    }

    /// The environment variable a secret may come from, such as `FANGSHI_WEIXIN_TOKEN`.
    pub fn variable(&self) -> String {
        format!("FANGSHI_{}_{}", self.section, self.name).to_uppercase()
    }
}

/// `section.name`, or the name alone at the top of the file.
pub fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

const fn key(section: &'static str, name: &'static str, kind: Kind, expected: &'static str) -> Key {
    Key { section, name, kind, expected }
}

pub const LISTEN: Key = key(
    "",
    "listen",
    Kind::Text,
    "an address and a port, such as \"127.0.0.1:8080\" (the default; port 0 takes a free one)",
);
pub const PUBLIC_URL: Key = key(
    "",
    "public_url",
    Kind::Text,
    "where merchants' browsers reach this host: https://HOST without a path, of the domain registered with the platform; links to authorize and to the merchant page begin with it (http:// only for this machine; default: the listening address, if only this machine reaches it)",
);
pub const DATA_DIR: Key = key("", "data_dir", Kind::Path, "the folder for the database and compiled plugins");
pub const OPERATOR_TOKEN: Key = key(
    "operator",
    "token",
    Kind::Secret,
    "the bearer token of the admin API: 32 visible ASCII characters or more, without spaces; take random ones, such as those of `openssl rand -hex 32`",
);
pub const KEY_FILE: Key = key(
    "custody",
    "key_file",
    Kind::Path,
    "the file of the key that seals tokens and buyer data (default: fangshi.key beside the config file; the environment's FANGSHI_CUSTODY_KEY, 64 hex digits, goes before)",
);
pub const ERASED_FILE: Key = key(
    "custody",
    "erased_file",
    Kind::Path,
    "the list of deleted tenants, which a restore deletes again; outside of data_dir (default: fangshi.erased beside the key file)",
);
pub const API_BASE: Key = key(
    "weixin",
    "api_base",
    Kind::Text,
    "the platform's address without a path, https://… (http:// only for this machine; default https://api.weixin.qq.com)",
);
pub const AUTHORIZE_PC_URL: Key = key(
    "weixin",
    "authorize_pc_url",
    Kind::Text,
    "the platform's authorization page for computers (default https://mp.weixin.qq.com/cgi-bin/componentloginpage)",
);
pub const AUTHORIZE_H5_URL: Key = key(
    "weixin",
    "authorize_h5_url",
    Kind::Text,
    "the platform's authorization page for phones (default https://open.weixin.qq.com/wxaopen/safe/bindcomponent)",
);
pub const AUTHORIZER_WALK_MINUTES: Key = key(
    "weixin",
    "authorizer_walk_minutes",
    Kind::Number(0, 10_080),
    "how often the list of authorized accounts is walked for shops that came or left without an event, minutes (default 60, and at the start; 0: never)",
);
pub const TIMESTAMP_WINDOW: Key = key(
    "weixin",
    "timestamp_window_hours",
    Kind::Number(4, 720),
    "how far the timestamp of a callback may be from this host's clock, either way, hours: the platform pushes again for 3.6 hours and may repeat the first timestamp (default 24)",
);
pub const COMPONENT_APPID: Key =
    key("weixin", "component_appid", Kind::Text, "the appid of the third-party platform: letters and digits, wx…");
pub const COMPONENT_APPSECRET: Key =
    key("weixin", "component_appsecret", Kind::Secret, "the appsecret of the third-party platform");
pub const WEIXIN_TOKEN: Key =
    key("weixin", "token", Kind::Secret, "the token that signs the third-party platform's callbacks");
pub const AES_KEY: Key =
    key("weixin", "encoding_aes_key", Kind::Secret, "the EncodingAESKey of the callbacks: 43 letters and digits");
pub const PREVIOUS_AES_KEY: Key = key(
    "weixin",
    "previous_encoding_aes_key",
    Kind::Secret,
    "the EncodingAESKey before the last change, while callbacks with it may still come: 43 letters and digits",
);
pub const RECONCILE_STATE: Key = key(
    "reconcile",
    "state",
    Kind::Text,
    "\"on\" (the default) or \"off\": whether orders are listed and read to find changes whose callback was lost",
);
pub const RECONCILE_INTERVAL: Key = key(
    "reconcile",
    "interval_seconds",
    Kind::Number(1, 86_400),
    "how often the updates of each shop's orders are looked at, seconds (default 900)",
);
pub const RECONCILE_FULL_PASS_AT: Key = key(
    "reconcile",
    "full_pass_at",
    Kind::Text,
    "when the daily pass over all orders begins, in Asia/Shanghai: \"04:00\" (the default)",
);
pub const RECONCILE_FULL_DAYS: Key =
    key("reconcile", "full_days", Kind::Number(1, 180), "how old the orders of a full pass may be, days (default 30)");
pub const RECONCILE_CALLS: Key = key(
    "reconcile",
    "calls_per_minute",
    Kind::Number(1, 6_000),
    "calls of reconciliation for one shop a minute; they use up the merchant's own quota (default 60)",
);
pub const RECONCILE_CALLS_A_DAY: Key = key(
    "reconcile",
    "calls_per_day",
    Kind::Number(100, 10_000_000),
    "calls of reconciliation for one shop a day; plugins share the merchant's own quota (default 20000)",
);
pub const RECONCILE_GRACE: Key = key(
    "reconcile",
    "grace_seconds",
    Kind::Number(0, 3_600),
    "how long a change waits for its callback before it counts as lost, seconds (default 120)",
);
pub const RETENTION_REVOKED: Key = key(
    "retention",
    "revoked",
    Kind::Text,
    "how long the data of a tenant stays that took its authorization back: \"30 days\" (the default), another number of days, or \"keep\"",
);
pub const WEBHOOK_URL: Key = key(
    "alerts",
    "webhook_url",
    Kind::Secret,
    "where alerts are posted as JSON: an https:// address, which may carry a key (http:// only for this machine; default: nowhere, GET /api/v1/alerts lists them)",
);
pub const WEBHOOK_SECRET: Key = key(
    "alerts",
    "webhook_secret",
    Kind::Secret,
    "signs alerts in the header fangshi-signature: t=UNIX_SECONDS,v1=HMAC-SHA256 of UNIX_SECONDS.BODY in hex (default: not signed)",
);
pub const BACKLOG_MINUTES: Key = key(
    "alerts",
    "backlog_minutes",
    Kind::Number(1, 10_080),
    "for how long an event or a run may be overdue before an alert, minutes; what waits for its retry, a stopped tenant or a paused installation is not overdue (default 30)",
);
pub const MAX_CONCURRENT_RUNS: Key = key(
    "limits",
    "max_concurrent_runs",
    Kind::Number(1, fangshi_runtime::MAX_CONCURRENT_RUNS as u64),
    "runs at once in the whole process; address space is reserved for as many (default 64)",
);
pub const RUNS_PER_TENANT: Key = key(
    "limits",
    "runs_per_tenant",
    Kind::Number(1, fangshi_runtime::MAX_CONCURRENT_RUNS as u64),
    "runs at once of one tenant (default 16)",
);
pub const TENANT_WEIGHTS: Key = key(
    "limits",
    "tenant_weights",
    Kind::Text,
    "shares of tenants when runs have to wait, as `t3=4 t7=2` with weights from 1 to 1000; whoever is not named has 1",
);
pub const MAX_PLUGIN_BYTES: Key = key(
    "limits",
    "max_plugin_bytes",
    Kind::Number(1024, 256 << 20),
    "the largest plugin that may be uploaded, bytes (default 33554432)",
);
pub const PLUGIN_VERSIONS_PER_TENANT: Key = key(
    "limits",
    "plugin_versions_per_tenant",
    Kind::Number(1, 1_000_000),
    "how many versions of plugins one tenant may upload in all (default 500)",
);
pub const PLUGIN_BYTES_PER_TENANT: Key = key(
    "limits",
    "plugin_bytes_per_tenant",
    Kind::Number(1024, 1 << 40),
    "how many bytes all versions of one tenant's plugins may have together; the same bytes count once (default 536870912)",
);
pub const SIGNATURES: Key = key(
    "uploads",
    "signatures",
    Kind::Text,
    "\"off\" (the default) or \"required\": whether every uploaded component must be signed by one of trusted_keys",
);
pub const APPROVAL: Key = key(
    "uploads",
    "approval",
    Kind::Text,
    "\"none\" (the default) or \"operator\": whether a version that a merchant uploaded must be approved by the operator before it is installed",
);
pub const TRUSTED_KEYS: Key = key(
    "uploads",
    "trusted_keys",
    Kind::Texts,
    "a list of minisign public keys, each the second line of a .pub file (RW…); needed where signatures are required",
);
pub const COMPILE_SECONDS: Key = key(
    "uploads",
    "compile_seconds",
    Kind::Number(1, 3_600),
    "how long a plugin may take to be compiled, seconds of processor time and of waiting (default 120)",
);
pub const COMPILE_MEMORY: Key = key(
    "uploads",
    "compile_memory_bytes",
    Kind::Number(64 << 20, 1 << 40),
    "the memory that compiling a plugin may take, bytes (default 2147483648)",
);
pub const COMPILED_BYTES: Key = key(
    "uploads",
    "compiled_bytes",
    Kind::Number(64 << 10, 1 << 30),
    "the most machine code that a plugin may be compiled to, bytes (default 134217728)",
);
pub const HTTP_STATE: Key = key(
    "http",
    "state",
    Kind::Text,
    "\"on\" (the default) or \"off\": whether plugins may send requests to the outside hosts that merchants approve by name",
);
pub const HTTP_INNER_ADDRESSES: Key = key(
    "http",
    "inner_addresses",
    Kind::Texts,
    "a list of names of hosts with the addresses of your own network, or of this machine, that each may lead to, such as \"erp.example.com=10.1.2.0/24\", or \".corp.example.com=10.1.2.0/24\" for all under a name; all addresses that are not reached from the whole Internet, and this machine's own, are refused otherwise (default: none)",
);
pub const HTTP_DENY_HOSTS: Key = key(
    "http",
    "deny_hosts",
    Kind::Texts,
    "a list of hosts that no merchant can approve and no plugin reaches: names such as \"host.example.com\", \".example.com\" for that name and all under it, and ranges of addresses such as \"198.51.100.0/24\" (default: none)",
);
pub const HTTP_EXTRA_ROOTS_FILE: Key = key(
    "http",
    "extra_roots_file",
    Kind::Path,
    "a file of certificates in PEM: authorities that vouch for outside hosts besides those that this machine trusts (default: none)",
);
pub const BODY_SECONDS: Key = key(
    "limits",
    "body_seconds",
    Kind::Number(1, 3_600),
    "how long the body of a request to the admin API or the merchant page may take to arrive, an upload's included, seconds (default 120)",
);
pub const UPLOAD_MEMORY: Key = key(
    "uploads",
    "memory_bytes",
    Kind::Number(1 << 20, 1 << 40),
    "what all uploads under way may hold in memory, each twice its size, bytes (default 268435456); one alone always may",
);
pub const SHUTDOWN_SECONDS: Key = key(
    "limits",
    "shutdown_seconds",
    Kind::Number(0, 3600),
    "how long a shutdown waits for running plugins, and then for tokens and decodes under way, seconds (default 20)",
);
pub const LANDLOCK: Key = key(
    "walls",
    "landlock",
    Kind::Text,
    "\"on\" (the default) or \"off\": whether the kernel refuses the process every port to listen on but its own, and to make devices, sockets, pipes and links; where the kernel can",
);
pub const SECCOMP: Key = key(
    "walls",
    "seccomp",
    Kind::Text,
    "\"on\" (the default) or \"off\": whether the kernel refuses the process, and those that compile plugins, system calls that they never make; where the kernel can",
);
pub const LOG_FORMAT: Key = key("log", "format", Kind::Text, "\"text\" (the default) or \"json\"");

/// The section whose sections are plans.
pub const PLANS: &str = "plans";

/// The limits that stand in `[limits]` beside the keys above, for everybody. Two of them have names of their own there.
pub fn limits() -> Vec<Key> {
    let members = Plans::members().into_iter().filter(|(name, _)| ![RUNS_AT_ONCE, COMPONENT_BYTES].contains(name));
    members.filter_map(|(name, range)| limit("limits", name, range)).collect()
}

/// The limits of a plan.
pub fn limits_of_plan() -> Vec<Key> {
    Plans::members().into_iter().filter_map(|(name, range)| limit(PLANS, name, range)).collect()
}

fn limit(section: &'static str, name: &'static str, range: LimitRange) -> Option<Key> {
    let LimitRange::Number { least, most, .. } = range else { return None };
    Some(key(
        section,
        name,
        Kind::Number(least, most),
        "a limit of each tenant; docs/limits.md says what each one bounds",
    ))
}

/// Every key.
pub const KEYS: &[&Key] = &[
    &LISTEN,
    &PUBLIC_URL,
    &DATA_DIR,
    &OPERATOR_TOKEN,
    &KEY_FILE,
    &ERASED_FILE,
    &API_BASE,
    &AUTHORIZE_PC_URL,
    &AUTHORIZE_H5_URL,
    &AUTHORIZER_WALK_MINUTES,
    &TIMESTAMP_WINDOW,
    &COMPONENT_APPID,
    &COMPONENT_APPSECRET,
    &WEIXIN_TOKEN,
    &AES_KEY,
    &PREVIOUS_AES_KEY,
    &RECONCILE_STATE,
    &RECONCILE_INTERVAL,
    &RECONCILE_FULL_PASS_AT,
    &RECONCILE_FULL_DAYS,
    &RECONCILE_CALLS,
    &RECONCILE_CALLS_A_DAY,
    &RECONCILE_GRACE,
    &RETENTION_REVOKED,
    &WEBHOOK_URL,
    &WEBHOOK_SECRET,
    &BACKLOG_MINUTES,
    &MAX_CONCURRENT_RUNS,
    &RUNS_PER_TENANT,
    &TENANT_WEIGHTS,
    &MAX_PLUGIN_BYTES,
    &PLUGIN_VERSIONS_PER_TENANT,
    &PLUGIN_BYTES_PER_TENANT,
    &BODY_SECONDS,
    &SHUTDOWN_SECONDS,
    &SIGNATURES,
    &APPROVAL,
    &TRUSTED_KEYS,
    &UPLOAD_MEMORY,
    &COMPILE_SECONDS,
    &COMPILE_MEMORY,
    &COMPILED_BYTES,
    &LANDLOCK,
    &SECCOMP,
    &HTTP_STATE,
    &HTTP_INNER_ADDRESSES,
    &HTTP_DENY_HOSTS,
    &HTTP_EXTRA_ROOTS_FILE,
    &LOG_FORMAT,
];

/// The names that may stand in a section, those of sections themselves included at the top.
pub fn names_in(section: &str) -> Vec<String> {
    let mut names = Vec::new();
    for key in KEYS {
        if key.section == section {
            names.push(key.name.to_owned());
            if key.kind == Kind::Secret {
                names.push(format!("{}_file", key.name));
            }
        } else if section.is_empty() {
            let header = format!("[{}]", key.section);
            if !names.contains(&header) {
                names.push(header);
            }
        }
    }
    match section {
        "limits" => names.extend(limits().iter().map(|key| key.name.to_owned())),
        "" => names.push(format!("[{PLANS}.NAME]")),
        _ => {}
    }
    names
}

/// Whether such a section exists.
pub fn is_section(name: &str) -> bool {
    !name.is_empty() && KEYS.iter().any(|key| key.section == name)
}
