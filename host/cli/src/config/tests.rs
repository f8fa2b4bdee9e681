//! Every wrong config: the key, the line and what is expected are named, and no secret is shown.

use std::path::Path;
use std::time::Duration;

use fangshi_lanes::{COMPONENT_BYTES, LimitRange, RUNS_AT_ONCE};
use fangshi_reconcile::FullPassAt;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::*;

const AES: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const GOOD: &str = r#"
listen = "127.0.0.1:0"
data_dir = "data"
[operator]
token = "an-operator-token-of-a-test-0123456789"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &|_| None)
}

fn parse_with(text: &str, environment: Environment<'_>) -> Result<Config, ConfigError> {
    Config::parse(Path::new("conf/fangshi.toml"), text, environment)
}

/// Runs at once of a tenant without a plan.
fn at_once(config: &Config) -> u64 {
    config.plans.of(None, &Value::Null).get(RUNS_AT_ONCE)
}

fn problems(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_smallest_config_has_documented_defaults() {
    let config = parse("data_dir = \"data\"\noperator.token = \"0123456789abcdef0123456789abcdef\"").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.data_dir, Path::new("conf/data"));
    assert!(matches!(&config.key, KeySource::File(file) if file == Path::new("conf/fangshi.key")));
    assert_eq!(config.erased_file, Path::new("conf/fangshi.erased"));
    assert_eq!(config.api_base, "https://api.weixin.qq.com");
    assert_eq!(config.timestamp_window, Duration::from_secs(86_400));
    assert!(config.component.is_none());
    assert_eq!((config.max_concurrent_runs, at_once(&config)), (64, 16));
    assert_eq!(config.max_plugin_bytes, 32 << 20);
    assert_eq!(config.shutdown, Duration::from_secs(20));
    assert_eq!((config.body_time, config.upload_memory), (Duration::from_secs(120), 256 << 20));
    assert_eq!(config.log_format, LogFormat::Text);
    assert_eq!(config.reconcile, Some(ReconcileConfig::default()));
    assert_eq!((config.uploads.versions, config.uploads.bytes), (500, 536_870_912));
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn the_whole_config_is_read() {
    let text = format!(
        r#"
listen = "localhost:9000"
data_dir = "/var/lib/fangshi"
[operator]
token = "operator-operator-operator-operator"
[custody]
key_file = "keys/one.key"
erased_file = "keys/gone"
[weixin]
api_base = "http://127.0.0.1:4000/"
component_appid = "wx134c8103faa5a59e"
component_appsecret = "appsecret"
token = "token"
encoding_aes_key = "{AES}"
previous_encoding_aes_key = "{AES}"
timestamp_window_hours = 6
[reconcile]
state = "on"
interval_seconds = 60
full_pass_at = "23:30"
full_days = 7
calls_per_minute = 10
calls_per_day = 3_000
grace_seconds = 0
[retention]
revoked = "keep"
[limits]
max_concurrent_runs = 1_00
runs_per_tenant = 3
tenant_weights = "t3=4  t7=1000"
max_plugin_bytes = 0x100000
plugin_versions_per_tenant = 7
plugin_bytes_per_tenant = 2_000_000
shutdown_seconds = 0
body_seconds = 7
[uploads]
memory_bytes = 2_000_000
[log]
format = "json"
"#
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(config.data_dir, Path::new("/var/lib/fangshi"));
    let reconcile = ReconcileConfig {
        interval: Duration::from_secs(60),
        full_pass_at: FullPassAt::parse("23:30").unwrap(),
        full_days: 7,
        calls_per_minute: 10,
        calls_per_day: 3_000,
        grace: Duration::ZERO,
    };
    assert_eq!(config.reconcile, Some(reconcile));
    assert_eq!(parse(&text.replace("state = \"on\"", "state = \"off\"")).unwrap().reconcile, None);
    assert!(matches!(&config.key, KeySource::File(file) if file == Path::new("conf/keys/one.key")));
    assert_eq!(config.erased_file, Path::new("conf/keys/gone"));
    assert_eq!(config.api_base, "http://127.0.0.1:4000");
    assert_eq!((config.max_concurrent_runs, at_once(&config)), (100, 3));
    assert_eq!(config.tenant_weights, [(TenantId(3), 4), (TenantId(7), 1000)].into());
    assert_eq!(config.max_plugin_bytes, 1 << 20);
    assert_eq!((config.uploads.versions, config.uploads.bytes), (7, 2_000_000));
    assert_eq!((config.body_time, config.upload_memory), (Duration::from_secs(7), 2_000_000));
    assert_eq!(config.timestamp_window, Duration::from_secs(6 * 3_600));
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.retention, fangshi_tenants::Retention::Keep);
    let component = config.component.unwrap();
    assert_eq!(component.appid, "wx134c8103faa5a59e");
    assert_eq!(component.encoding_aes_key.expose_secret(), AES);
    assert!(component.previous_encoding_aes_key.is_some());
    assert!(!format!("{component:?}").contains("appsecret\""));
}

/// Config text, then the parts its error must have.
const WRONG: &[(&str, &[&str])] = &[
    ("", &["data_dir: missing", "operator.token: missing", "FANGSHI_OPERATOR_TOKEN", "token_file"]),
    ("listen = ", &["conf/fangshi.toml:1: not TOML"]),
    ("data_dir = \"d\"\nlisten = \"a\"\nlisten = \"b\"", &["fangshi.toml:3: not TOML", "duplicate"]),
    (
        "GOOD\n[extra]\na = 1",
        &[
            "fangshi.toml:6: extra: unknown key",
            "listen, public_url, data_dir, [operator], [custody], [weixin], [reconcile], [retention], [alerts], [limits], [uploads], [walls], [http], [log]",
        ],
    ),
    ("lisen = \"x\"", &["fangshi.toml:1: lisen: unknown key", "listen"]),
    ("[operator]\ntokn = \"CANARY\"", &["fangshi.toml:2: operator.tokn: unknown key", "[operator]: token, token_file"]),
    ("[retention]\nrevoked = \"soon\"", &["retention.revoked: expected", "\"30 days\"", "found \"soon\""]),
    ("[weixin]\naes_key = \"CANARY\"", &["weixin.aes_key: unknown key", "previous_encoding_aes_key_file"]),
    ("operator = \"CANARY\"", &["fangshi.toml:1: operator: expected a section `[operator]`; found a text"]),
    ("[[operator]]\ntoken = \"CANARY\"", &["operator: expected a section `[operator]`; found a list"]),
    ("listen = 8080", &["fangshi.toml:1: listen: expected an address and a port", "found a whole number"]),
    ("listen = \"8080\"", &["listen: expected an address and a port", "found \"8080\""]),
    ("listen = \"127.0.0.1:99999\"", &["listen: expected", "found \"127.0.0.1:99999\""]),
    ("listen = \"\"", &["listen: expected", "found an empty text"]),
    ("data_dir = true", &["data_dir: expected the folder", "found a true or false"]),
    ("data_dir = [\"a\"]", &["data_dir: expected the folder", "found a list"]),
    ("[operator]\ntoken = 5", &["operator.token: expected", "found a whole number"]),
    ("[operator]\ntoken = \"\"", &["operator.token: expected", "found an empty text"]),
    ("[operator]\ntoken = \"CANARY with spaces\"", &["operator.token: expected", "found other characters"]),
    (
        "[operator]\ntoken = \"CANARY\"\ntoken_file = \"x\"",
        &["fangshi.toml:3: operator.token_file: expected only one of `token` and `token_file`"],
    ),
    (
        "[operator]\ntoken = \"CANARY-of-31-characters-0123456\"",
        &["fangshi.toml:2: operator.token: expected", "32 visible ASCII characters or more", "found a token of 31"],
    ),
    (
        "[operator]\ntoken_file = \"no/such/file\"",
        &["fangshi.toml:2: operator.token_file: expected a readable text file", "conf/no/such/file"],
    ),
    ("[operator]\ntoken_file = 1", &["operator.token_file: expected the path of a file as text"]),
    ("[custody]\nkey_file = 1979-05-27", &["custody.key_file: expected the file of the key", "found a date"]),
    ("[weixin]\napi_base = \"api.weixin.qq.com\"", &["weixin.api_base: expected the platform's address"]),
    (
        "[weixin]\napi_base = \"http://api.weixin.qq.com\"",
        &["weixin.api_base: expected", "http:// only for this machine"],
    ),
    ("[weixin]\napi_base = \"https://user:CANARY@host\"", &["weixin.api_base: expected"]),
    ("[weixin]\napi_base = \"https://api.weixin.qq.com/cgi-bin\"", &["weixin.api_base: expected", "without a path"]),
    ("[weixin]\napi_base = \"http://localhost.evil.example\"", &["weixin.api_base: expected"]),
    ("public_url = \"http://shop.example.com\"", &["fangshi.toml:1: public_url: expected where", "https://HOST"]),
    ("public_url = \"https://shop.example.com/path\"", &["public_url: expected"]),
    ("public_url = \"https://shop.example.com:99999\"", &["public_url: expected"]),
    ("[weixin]\napi_base = \"https://api.weixin.qq.com:99999\"", &["weixin.api_base: expected"]),
    (
        "[weixin]\nauthorize_pc_url = \"https://mp.weixin.qq.com/cgi-bin/componentloginpage?a=1\"",
        &["weixin.authorize_pc_url: expected the platform's authorization page"],
    ),
    ("[weixin]\nauthorize_h5_url = \"https://user:CANARY@host/page\"", &["weixin.authorize_h5_url: expected"]),
    (
        "[weixin]\nauthorizer_walk_minutes = -1",
        &["weixin.authorizer_walk_minutes: expected a whole number from 0 to 10080: how often"],
    ),
    ("[weixin]\ncomponent_appid = \"wx 1\"", &["weixin.component_appid: expected the appid", "found \"wx 1\""]),
    (
        "[weixin]\ncomponent_appid = \"wx1\"",
        &[
            "weixin.component_appsecret: missing",
            "weixin.token: missing",
            "weixin.encoding_aes_key: missing",
            "FANGSHI_WEIXIN_ENCODING_AES_KEY",
        ],
    ),
    (
        "[weixin]\nencoding_aes_key = \"CANARY\"",
        &["weixin.encoding_aes_key: expected the EncodingAESKey", "43", "found 6 characters"],
    ),
    (
        "[limits]\nmax_concurrent_runs = 0",
        &["limits.max_concurrent_runs: expected a whole number from 1 to 4000", "found 0"],
    ),
    ("[limits]\nmax_concurrent_runs = 4001", &["limits.max_concurrent_runs: expected a whole number from 1 to 4000"]),
    ("[limits]\nmax_concurrent_runs = -1", &["limits.max_concurrent_runs: expected", "from 1 to 4000", "found -1"]),
    (
        "[limits]\nruns_per_tenant = 1.5",
        &["limits.runs_per_tenant: expected", "from 1 to 4000", "found a number with a fraction"],
    ),
    ("[limits]\ntenant_weights = \"t3=0\"", &["limits.tenant_weights: expected shares of tenants", "found `t3=0`"]),
    ("[limits]\ntenant_weights = \"t3=1001\"", &["limits.tenant_weights: expected", "found `t3=1001`"]),
    ("[limits]\ntenant_weights = \"t1=1 shop=4\"", &["limits.tenant_weights: expected", "found `shop=4`"]),
    ("[limits]\ntenant_weights = \"t1=1 t1=2\"", &["limits.tenant_weights: expected", "found `t1` twice"]),
    ("[limits]\ntenant_weights = 4", &["limits.tenant_weights: expected", "found a"]),
    (
        "[limits]\nmax_plugin_bytes = \"1M\"",
        &["limits.max_plugin_bytes: expected", "from 1024 to 268435456", "found a text"],
    ),
    ("[limits]\nmax_plugin_bytes = 5", &["limits.max_plugin_bytes: expected", "from 1024 to 268435456", "found 5"]),
    (
        "[reconcile]\nstate = \"maybe\"",
        &["reconcile.state: expected \"on\" (the default) or \"off\"", "found \"maybe\""],
    ),
    (
        "[reconcile]\nfull_pass_at = \"4 am\"",
        &["reconcile.full_pass_at: expected when the daily pass", "found \"4 am\""],
    ),
    ("[reconcile]\ninterval_seconds = 0", &["reconcile.interval_seconds: expected a whole number from 1 to 86400"]),
    ("[limits]\nshutdown_seconds = 99999999999999999999999", &["limits.shutdown_seconds: expected", "from 0 to 3600"]),
    ("[log]\nformat = \"xml\"", &["log.format: expected \"text\"", "found \"xml\""]),
];

#[test]
fn each_wrong_config_names_key_file_and_what_is_expected() {
    for (text, parts) in WRONG {
        let text = text.replace("GOOD", GOOD.trim_end());
        let shown = problems(&text);
        for part in *parts {
            assert!(shown.contains(part), "{text:?}\nlacks {part:?} in:\n{shown}");
        }
        for line in shown.lines() {
            assert!(line.starts_with("conf/fangshi.toml"), "no file in {line:?}");
        }
        assert!(!shown.contains("CANARY"), "shows a secret: {shown}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let shown = problems("listen = 1\ndata_dir = 2\n[limits]\nruns_per_tenant = 0\n[log]\nformat = 1");
    assert_eq!(shown.lines().count(), 5, "{shown}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("no/such/fangshi.toml")).err().unwrap();
    assert!(error.to_string().starts_with("no/such/fangshi.toml: expected a readable config file"));
}

#[test]
fn secrets_come_from_files_and_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fangshi.toml");
    std::fs::write(folder.path().join("token.txt"), "from-the-file-0123456789-0123456789\n").unwrap();
    let text = "data_dir = \"d\"\n[operator]\ntoken_file = \"token.txt\"";
    let config = Config::parse(&file, text, &|_| None).unwrap();
    assert_eq!(config.operator_token.expose_secret(), "from-the-file-0123456789-0123456789");

    let environment =
        |name: &str| (name == "FANGSHI_OPERATOR_TOKEN").then(|| "from-outside-0123456789-0123456789".to_owned());
    let config = Config::parse(&file, text, &environment).unwrap();
    assert_eq!(config.operator_token.expose_secret(), "from-outside-0123456789-0123456789");

    std::fs::write(folder.path().join("token.txt"), "\n").unwrap();
    let error = Config::parse(&file, text, &|_| None).err().unwrap().to_string();
    assert!(error.contains("token.txt is empty"), "{error}");
}

#[test]
fn every_secret_has_its_variable() {
    let environment = |name: &str| match name {
        "FANGSHI_OPERATOR_TOKEN" => Some("outside-0123456789-0123456789-0123456789".to_owned()),
        "FANGSHI_WEIXIN_TOKEN" | "FANGSHI_WEIXIN_COMPONENT_APPSECRET" => Some("outside".to_owned()),
        "FANGSHI_WEIXIN_ENCODING_AES_KEY" | "FANGSHI_WEIXIN_PREVIOUS_ENCODING_AES_KEY" => Some(AES.to_owned()),
        _ => None,
    };
    let text = "data_dir = \"d\"\nweixin.component_appid = \"wx1\"";
    let config = parse_with(text, &environment).unwrap();
    let component = config.component.unwrap();
    assert_eq!(component.appsecret.expose_secret(), "outside");
    assert_eq!(component.token.expose_secret(), "outside");
    assert!(component.previous_encoding_aes_key.is_some());
    let error = parse_with(text, &|name| (name == "FANGSHI_OPERATOR_TOKEN").then(String::new));
    let shown = error.err().unwrap().to_string();
    assert!(shown.contains("FANGSHI_OPERATOR_TOKEN is empty"), "{shown}");
}

#[test]
fn required_signatures_need_keys() {
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let uploads = |text: &str| format!("{GOOD}[uploads]\n{text}");
    let required = uploads(&format!("signatures = \"required\"\ntrusted_keys = [\"{KEY}\"]"));
    assert!(parse(&required).unwrap().trusted.is_some());
    assert!(parse(&uploads(&format!("trusted_keys = [\"{KEY}\"]"))).unwrap().trusted.is_none());
    for (wrong, told) in [
        ("signatures = \"required\"", "uploads.trusted_keys: missing"),
        ("signatures = \"required\"\ntrusted_keys = []", "uploads.trusted_keys: missing"),
        ("signatures = \"on\"", "uploads.signatures: expected"),
        ("trusted_keys = [\"rubbish\"]", "found \"rubbish\""),
        ("trusted_keys = \"RW\"", "found a text"),
    ] {
        let shown = problems(&uploads(wrong));
        assert!(shown.contains(told), "{wrong}: {shown}");
    }
}

#[test]
fn choices_are_one_of_two_words() {
    let usual = parse(GOOD).unwrap();
    assert!(!usual.approval && usual.seccomp && usual.landlock);
    let other = parse(&format!("{GOOD}[uploads]\napproval = \"operator\"\n[walls]\nseccomp = \"off\"\n")).unwrap();
    assert!(other.approval && !other.seccomp && other.landlock);
    let other = parse(&format!("{GOOD}[walls]\nlandlock = \"off\"\n")).unwrap();
    assert!(other.seccomp && !other.landlock);
    for (wrong, told) in [
        ("[uploads]\napproval = \"yes\"", "uploads.approval: expected \"none\""),
        ("[walls]\nseccomp = true", "walls.seccomp: expected"),
        ("[walls]\nlandlock = true", "walls.landlock: expected"),
    ] {
        let shown = problems(&format!("{GOOD}{wrong}\n"));
        assert!(shown.contains(told), "{wrong}: {shown}");
    }
}

#[test]
fn the_pages_of_limits_have_every_one_with_its_usual_value() {
    let pages = [include_str!("../../../../docs/limits.md"), include_str!("../../../../docs/limits.zh-CN.md")];
    for (name, range) in Plans::members() {
        let LimitRange::Number { default, .. } = range else { continue };
        let digits = default.to_string();
        let from_the_end: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
        let row = format!("| `{name}` | {} |", from_the_end.join(","));
        assert!(pages.iter().all(|page| page.contains(&row)), "no row {row}");
    }
}

#[test]
fn outside_hosts_are_reached_as_the_config_says() {
    let http = |text: &str| parse(&format!("{GOOD}[http]\n{text}")).unwrap().http;
    let default = parse(GOOD).unwrap().http;
    assert!(default.enabled && default.inner == Default::default() && default.denied == Default::default());
    assert!(!http("state = \"off\"").enabled);
    let inner = ["erp.example.com=10.1.2.0/24".to_owned(), ".corp.example.com=fd00:1::/32".to_owned()];
    let set = http("inner_addresses = [\"erp.example.com=10.1.2.0/24\", \".corp.example.com=fd00:1::/32\"]").inner;
    assert_eq!(set, fangshi_operations::InnerAddresses::new(&inner).unwrap());
    let denied = ["evil.example".to_owned(), "198.51.100.0/24".to_owned()];
    let set = http("deny_hosts = [\"evil.example\", \"198.51.100.0/24\"]").denied;
    assert_eq!(set, fangshi_operations::DeniedHosts::new(&denied).unwrap());
    assert_eq!((default.own_name, default.listens_on), (None, Some([127, 0, 0, 1].into())));
    let named = parse(&format!("public_url = \"https://Plugins.example.com\"\n{GOOD}")).unwrap().http;
    assert_eq!(named.own_name.as_deref(), Some("plugins.example.com"));
    let shown = |text: &str| problems(&format!("{GOOD}[http]\n{text}"));
    for (wrong, told) in [
        ("state = \"yes\"", "fangshi.toml:7: http.state: expected \"on\""),
        ("state = true", "http.state: expected"),
        ("inner_addresses = \"10.0.0.0/8\"", "http.inner_addresses: expected a list of names of hosts"),
        ("inner_addresses = [\"a.example=10.0.0.0/8\", \"inner\"]", "found \"inner\", which is no `NAME=RANGE`"),
        // As it was written once.
        ("inner_addresses = [\"10.0.0.0/8\"]", "write \"erp.example.com=10.0.0.0/8\" for one host"),
        ("deny_hosts = [\"*.evil.example\"]", "http.deny_hosts: expected a list of hosts"),
        ("extra_roots_file = \"none.pem\"", "http.extra_roots_file: expected a file of certificates in PEM"),
        (
            "enabled = false",
            "unknown key; expected one of these in [http]: state, inner_addresses, deny_hosts, extra_roots_file",
        ),
    ] {
        let shown = shown(wrong);
        assert!(shown.contains(told), "{wrong}: {shown}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    std::fs::write(&file, "no certificate").unwrap();
    assert!(shown(&format!("extra_roots_file = {file:?}")).contains("no certificate in PEM"));
}

#[test]
fn plans_are_read_and_checked() {
    let config = parse(&format!(
        "{GOOD}[limits]\nfuel = 5_000_000\nmax_plugin_bytes = 2048\n[plans.large]\nfuel = 9_000_000\nruns_at_once = 40\n[plans.bare]\n"
    ))
    .unwrap();
    let of = |plan: Option<&str>| {
        let limits = config.plans.of(plan, &Value::Null);
        (limits.get("fuel"), limits.get(RUNS_AT_ONCE), limits.get(COMPONENT_BYTES))
    };
    assert_eq!(of(None), (5_000_000, 16, 2_048));
    assert_eq!(of(Some("large")), (9_000_000, 40, 2_048));
    assert_eq!(of(Some("bare")), of(None));
    for (wrong, told) in [
        ("[limits]\nfuel = 1", "fangshi.toml:7: limits.fuel: expected a whole number from 10000 to 60000000000"),
        ("[limits]\nruns_at_once = 3", "limits.runs_at_once: unknown key"),
        (
            "[plans.large]\nfule = 1",
            "fangshi.toml:7: plans.large.fule: unknown limit; expected one of these in [plans.large]: fuel",
        ),
        ("[plans.large]\nfuel = 1", "fangshi.toml:7: plans.large.fuel: expected a whole number from 10000"),
        ("[plans.large]\nfuel = \"much\"", "plans.large.fuel: expected a whole number"),
        ("[plans.\"a b\"]\nfuel = 10_000", "expected a plan's name"),
        ("[plans]\nlarge = 3", "plans.large: expected a section `[plans.large]`; found a whole number"),
    ] {
        let shown = problems(&format!("{GOOD}{wrong}"));
        assert!(shown.contains(told), "{wrong}: {shown}");
    }
}

#[test]
fn the_example_is_right_and_has_the_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("fangshi.example.toml");
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [
        ("operator.token", "an-operator-token-of-a-test-0123456789"),
        ("component.appsecret", "appsecret"),
        ("weixin.token", "token"),
        ("weixin.encoding_aes_key", AES),
    ] {
        std::fs::write(folder.path().join(name), secret).unwrap();
    }
    let text = std::fs::read_to_string(example).unwrap();
    let config = Config::parse(&folder.path().join("fangshi.toml"), &text, &|_| None).unwrap();
    let default = parse(GOOD).unwrap();
    assert_eq!(config.api_base, default.api_base);
    assert_eq!(config.authorize_pages, default.authorize_pages);
    assert_eq!(config.authorizer_walk, default.authorizer_walk);
    assert_eq!(default.authorizer_walk, Some(Duration::from_secs(3600)));
    assert_eq!(default.public_url, None);
    assert_eq!(config.max_concurrent_runs, default.max_concurrent_runs);
    let everybody = |config: &Config| config.plans.of(None, &Value::Null);
    assert_eq!(everybody(&config), everybody(&default));
    assert_eq!(config.max_plugin_bytes, default.max_plugin_bytes);
    assert_eq!(config.uploads, default.uploads);
    assert_eq!((config.body_time, config.upload_memory), (default.body_time, default.upload_memory));
    assert_eq!(config.compile, default.compile);
    assert_eq!((config.http.enabled, &config.http.inner), (default.http.enabled, &default.http.inner));
    assert_eq!(config.shutdown, default.shutdown);
    for key in KEYS {
        assert!(text.contains(key.name), "the example lacks {}", key.path());
    }
}

#[test]
fn the_key_may_come_from_the_environment() {
    let key = "0c".repeat(32);
    let environment = |name: &str| (name == KEY_VARIABLE).then(|| key.clone());
    let config = parse_with(GOOD, &environment).unwrap();
    assert!(matches!(&config.key, KeySource::Text(text) if text.expose_secret() == key));
    assert!(!format!("{:?}", config.key).contains("0c0c"));
    for wrong in ["", "CANARY", &"0".repeat(63), &"g".repeat(64)] {
        let environment = |name: &str| (name == KEY_VARIABLE).then(|| wrong.to_owned());
        let shown = parse_with(GOOD, &environment).err().unwrap().to_string();
        assert!(shown.contains("FANGSHI_CUSTODY_KEY: expected 64 hex digits"), "{shown}");
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}

#[test]
fn a_key_file_that_holds_no_key_is_found_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse(&folder.path().join("fangshi.toml"), GOOD, &|_| None).unwrap();
    config.check_key_file().unwrap();
    let file = folder.path().join("fangshi.key");
    std::fs::write(&file, "CANARY").unwrap();
    let shown = config.check_key_file().unwrap_err().to_string();
    assert!(shown.contains("custody.key_file: ") && shown.contains("fangshi.key"), "{shown}");
    assert!(!shown.contains("CANARY"), "{shown}");
    std::fs::write(&file, "# a key\n".to_owned() + &"0c".repeat(32)).unwrap();
    config.check_key_file().unwrap();
}

#[test]
fn unwise_settings_are_warned_of() {
    let text = "data_dir = \".\"\nlisten = \"0.0.0.0:80\"\n[operator]\ntoken = \"0123456789abcdef0123456789abcdef\"";
    let warnings = parse(text).unwrap().warnings().join("\n");
    assert!(warnings.contains("fangshi.key lies in data_dir"), "{warnings}");
    assert!(warnings.contains("without TLS"), "{warnings}");
}
