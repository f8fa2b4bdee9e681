//! What a panic may say: where it happened, and words of the source code (`fangshi_runtime::panic_words`).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;

use fangshi_runtime::panic_words;

/// From now on panics of the process are told so, on standard error. `RUST_BACKTRACE` adds functions and lines, as ever.
pub fn hide_values() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "the host panicked at {place}: {}", panic_words(panic.payload()));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            let _ = writeln!(err, "{backtrace}");
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use fangshi_database::{Clock, Database, OpenOptions};
    use fangshi_runtime::UNSAID;
    use fangshi_tenants::{
        Authorization, AuthorizationChange, AuthorizerInfo, CallbackKeys, ChangeKind, ComponentCredentials,
        Credentials, Issued, Issuer, Kek, ListedAuthorizer, NewTenant, Platform, PreAuthCode, TenantPatch, Tenants,
    };
    use secrecy::SecretString;

    use super::*;

    /// How the child of a test ends.
    const HOW: &str = "FANGSHI_TEST_ENDS_BY";

    fn secret() -> SecretString {
        SecretString::from("CANARY-SECRET")
    }

    fn keys() -> CallbackKeys {
        CallbackKeys { token: secret(), encoding_aes_key: secret(), previous_encoding_aes_key: Some(secret()) }
    }

    /// Debug of all that holds secrets, tokens in use among them.
    async fn shown() -> String {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
        let component = ComponentCredentials { appid: "wxc".into(), appsecret: secret() };
        let kek = Kek::from_bytes(b"CANARY-SECRET-CANARY-SECRET-CANA");
        let mut shown = format!("{component:?} {kek:?}");
        let tenants = Tenants::open(db, kek, Some(component), Clock::system()).await.unwrap();
        let new = |appid: &str, credentials| NewTenant {
            platform: Platform::Weixin,
            appid: appid.into(),
            user_name: None,
            name: "shop".into(),
            credentials,
        };
        let through = || Credentials::Authorized {
            access_token: Some(secret()),
            expires_in: None,
            refresh_token: Some(secret()),
        };
        let own = || Credentials::SelfBuilt { appsecret: secret(), callback: keys() };
        let tenant = tenants.create(new("wxa", through())).await.unwrap();
        let self_built = tenants.create(new("wxb", own())).await.unwrap();
        let platform = fangshi_operations::Operations::new(Default::default(), tenants.clone()).unwrap();
        let issuer: Arc<dyn Issuer> = platform.authorizer();
        let token = tenants.custody().access_token(tenant.id, &issuer).await.unwrap();
        let patch = TenantPatch {
            access_token: Some((secret(), None)),
            refresh_token: Some(secret()),
            appsecret: Some(secret()),
            token: Some(secret()),
            encoding_aes_key: Some(secret()),
            ..TenantPatch::default()
        };
        let issued = Issued { access: secret(), refresh: Some(secret()), expires_in: 1 };
        let info = AuthorizerInfo { refresh: Some(secret()), ..AuthorizerInfo::default() };
        let authorization = Authorization {
            appid: "wxa".into(),
            access: Some((secret(), 1)),
            refresh: Some(secret()),
            permission_sets: None,
        };
        let listed = ListedAuthorizer { appid: "wxa".into(), refresh: Some(secret()), auth_time: 1 };
        let code = PreAuthCode { code: secret(), expires_in: 1 };
        let change = AuthorizationChange {
            appid: "wxa".into(),
            kind: ChangeKind::Authorized,
            created_at: 1,
            code: Some(secret()),
            pre_auth_code: Some(secret()),
        };
        let (vault, custody) = (tenants.vault(), tenants.custody());
        shown += &format!("{token:?} {tenant:?} {self_built:?} {:?} {:?}", new("wxc", through()), new("wxd", own()));
        shown +=
            &format!("{patch:?} {issued:?} {info:?} {authorization:?} {listed:?} {code:?} {change:?} {:?}", keys());
        shown += &format!("{tenants:?} {vault:?} {custody:?} {:?} {platform:?}", tenants.onboarding());
        shown
    }

    #[tokio::test]
    async fn nothing_that_holds_a_secret_shows_it() {
        let shown = shown().await;
        assert!(shown.contains("AccessToken(version") && shown.len() > 1_000, "{shown}");
        assert!(!shown.contains("CANARY"), "{shown}");
        let bytes = format!("{:?}", b"CANARY");
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "nor as bytes: {shown}");
    }

    /// Not a test: the process that `what_a_dying_process_says_holds_no_secret` starts.
    #[tokio::test]
    #[ignore = "ends the process"]
    async fn dies_with_secrets_in_hand() {
        let Ok(how) = std::env::var(HOW) else { return };
        hide_values();
        crate::logs::start(crate::config::LogFormat::Text);
        let held = shown().await;
        let text = "CANARY-SECRET 张".to_owned();
        let at = text.len() - 1;
        match how.as_str() {
            // The standard library quotes the text.
            "cut" => drop(std::hint::black_box(&text[..at]).to_owned()),
            "unwrap" => std::hint::black_box(Err::<(), _>(text)).unwrap(),
            "words" => panic!("words of the source code"),
            "debug" => panic!("{held}"),
            // A panic while one is on its way ends the process at once.
            "twice" => {
                struct Again(String);
                impl Drop for Again {
                    fn drop(&mut self) {
                        panic!("{}", self.0);
                    }
                }
                let _again = Again(text);
                panic!("words of the source code");
            }
            _ => std::process::abort(),
        }
    }

    #[test]
    fn what_a_dying_process_says_holds_no_secret() {
        for (how, said) in [
            ("cut", UNSAID),
            ("unwrap", UNSAID),
            ("words", "words of the source code"),
            ("debug", UNSAID),
            ("twice", "words of the source code"),
            ("abort", ""),
        ] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "panics::tests::dies_with_secrets_in_hand", "--nocapture"])
                .env(HOW, how)
                .env("RUST_BACKTRACE", "1")
                .env("RUST_LOG", "trace")
                .output()
                .unwrap();
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            assert!(!output.status.success() && text.contains("running 1 test"), "{how}: {text}");
            assert!(text.contains(said) && !text.contains("CANARY"), "{how}: {text}");
            assert_eq!(text.contains("panics.rs:"), how != "abort", "{how}: {text}");
        }
    }
}
