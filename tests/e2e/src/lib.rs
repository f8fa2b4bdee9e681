//! Behaviour across rooms. The tests are in `tests/`: each starts the real host process in a folder of its own, beside the
//! fake platform, and drives it as an operator would. Here is what some of them begin with.
#![allow(missing_docs)]

mod until;

use anyhow::{Context, Result};
use fangshi_harness::{Admin, HostClock, HostConfig, HostProcess, guest};
use fangshi_platform::{NewShop, Platform, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use until::until;

/// A platform, a host that serves it, and one authorized shop in which a plugin is at work.
pub struct Scene {
    pub platform: Platform,
    pub host: HostProcess,
    pub admin: Admin,
    pub appid: String,
    pub tenant: String,
    pub folder: TempDir,
}

impl Scene {
    /// With this plugin, its grants and settings.
    pub async fn start(plugin: &str, grants: &[&str], settings: Value) -> Result<Scene> {
        let (platform, folder) = beginning().await?;
        let host = HostProcess::start_again(folder.path(), &[])?;
        Scene::of(platform, folder, host, (plugin, grants, settings)).await
    }

    /// The same with a host whose clock is set by hand.
    pub async fn start_with_clock(plugin: &str, grants: &[&str], settings: Value) -> Result<(Scene, HostClock)> {
        let (platform, folder) = beginning().await?;
        let clock = HostClock::new(folder.path())?;
        let host = HostProcess::start_again(folder.path(), &clock.settings())?;
        Ok((Scene::of(platform, folder, host, (plugin, grants, settings)).await?, clock))
    }

    async fn of(
        platform: Platform,
        folder: TempDir,
        host: HostProcess,
        (plugin, grants, settings): (&str, &[&str], Value),
    ) -> Result<Scene> {
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

/// A platform, and a folder with the configuration of a host that serves it.
async fn beginning() -> Result<(Platform, TempDir)> {
    let platform = Platform::start(Settings::default()).await?;
    let folder = tempfile::tempdir()?;
    HostConfig::of(&platform, "").write(folder.path())?;
    Ok((platform, folder))
}
