//! The configuration file of a host under test.
use std::{fs, path::Path};

use anyhow::Result;
use fangshi_platform::Platform;

/// What a host under test is started with; the rest has its default.
#[derive(Clone, Debug)]
pub struct HostConfig {
    pub api_base: String,
    pub component_appid: String,
    pub component_appsecret: String,
    pub token: String,
    pub encoding_aes_key: String,
    /// Lines added as they are: members of `[weixin]`, then sections, for example `[limits]` and its members.
    pub extra: String,
}

/// The bearer token of the operator in every test host.
pub const OPERATOR_TOKEN: &str = "operator-token-of-a-test-host-0123456789";

impl HostConfig {
    /// A host of this fake platform's component; `extra` as in the field.
    pub fn of(platform: &Platform, extra: &str) -> HostConfig {
        let component = platform.component();
        HostConfig {
            api_base: platform.base_url(),
            component_appid: component.appid.clone(),
            component_appsecret: component.appsecret().to_owned(),
            token: component.token().to_owned(),
            encoding_aes_key: component.encoding_aes_key().to_owned(),
            extra: extra.to_owned(),
        }
    }

    /// Writes `fangshi.toml` into `folder`; data and key lie beside it, in folders of their own.
    pub fn write(&self, folder: &Path) -> Result<std::path::PathBuf> {
        let file = folder.join("fangshi.toml");
        fs::create_dir_all(folder.join("keys"))?;
        // Tests make their tenants themselves, unless they say otherwise: a walk would be faster now and then.
        let walk = if self.extra.contains("authorizer_walk_minutes") { "" } else { "authorizer_walk_minutes = 0\n" };
        // They count calls, too: those of reconciliation come when asked for.
        let reconcile = if self.extra.contains("[reconcile]") { "" } else { "\n[reconcile]\nstate = \"off\"\n" };
        fs::write(
            &file,
            format!(
                "listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\n[operator]\ntoken = \"{OPERATOR_TOKEN}\"\n\n[custody]\nkey_file = \
                 \"keys/custody.key\"\n\n[weixin]\napi_base = \"{}\"\ncomponent_appid = \"{}\"\ncomponent_appsecret = \"{}\"\ntoken = \
                 \"{}\"\nencoding_aes_key = \"{}\"\n{walk}{}\n{reconcile}",
                self.api_base,
                self.component_appid,
                self.component_appsecret,
                self.token,
                self.encoding_aes_key,
                self.extra
            ),
        )?;
        Ok(file)
    }
}
