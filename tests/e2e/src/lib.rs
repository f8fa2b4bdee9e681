//! Behaviour across rooms. The tests are in `tests/`: each starts the real host process in a folder of its own, beside the
//! fake platform, and drives it as an operator would. Here is what some of them begin with.
#![allow(missing_docs)]

mod until;

use anyhow::{Context, Result};
use fangshi_harness::{Admin, HostConfig, HostProcess, guest};
use fangshi_platform::{NewShop, Platform, Settings};
use serde_json::{Value, json};

pub use until::until;

/// A platform, a host that serves it, and one authorized shop in which a plugin is at work.
pub struct Scene {
    pub platform: Platform,
    pub host: HostProcess,
    pub admin: Admin,
    pub appid: String,
    pub tenant: String,
    pub folder: tempfile::TempDir,
}

impl Scene {
    /// With this plugin, its grants and settings.
    pub async fn start(plugin: &str, grants: &[&str], settings: Value) -> Result<Scene> {
        let platform = Platform::start(Settings::default()).await?;
        let folder = tempfile::tempdir()?;
        let host = HostProcess::start(folder.path(), &HostConfig::of(&platform, ""))?;
        let admin = host.admin();
        let shop = platform.add_shop(NewShop::authorized())?;
        let tokens = platform.issue_tokens(&shop.appid)?;
        let body = json!({
            "platform": "weixin", "kind": "authorized", "appid": shop.appid, "user_name": shop.user_name, "name": "a shop",
            "access_token": tokens.access(), "refresh_token": tokens.refresh(),
        });
        let made = admin.post("/api/v1/tenants", &body).await?;
        let tenant = made["id"].as_str().context("a tenant without an id")?.to_owned();
        platform.point_at(&host.address);
        let uploaded = admin.upload(&tenant, plugin, guest(plugin)?).await?;
        admin.install(&tenant, &uploaded, grants, settings).await?;
        Ok(Scene { platform, host, admin, appid: shop.appid, tenant, folder })
    }
}
