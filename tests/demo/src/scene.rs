//! The scene: a platform, a host, three shops with their plugins.
use std::collections::BTreeSet;

use anyhow::Result;
use fangshi_harness::{Admin, HostConfig, HostProcess, guest};
use fangshi_platform::{FormChoice, NewShop, Platform, Settings, Shop};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{onboarding, story::Story};

/// The shop of the real order: through the component, pushes as XML with bare numbers.
pub const CONTROLLERS: &str = "wxcontrollers00001";
/// A shop whose buyers change their minds: through the component, pushes in every spelling.
pub const GIFTS: &str = "wxgifts00000000002";
/// A shop with its own credentials, pushes as JSON; its plugin is written in JavaScript.
pub const TEA: &str = "wxteahouse00000003";

/// A shop on the platform and its tenant in the host.
pub struct Member {
    pub shop: Shop,
    pub tenant: String,
}

pub struct Scene {
    pub platform: Platform,
    pub host: HostProcess,
    pub admin: Admin,
    pub members: Vec<Member>,
    pub folder: TempDir,
}

impl Scene {
    /// Starts everything on free loopback ports, over a temporary folder.
    pub async fn set(story: &mut Story) -> Result<Scene> {
        story.title("The scene");
        let platform = Platform::start(Settings {
            form: FormChoice::BySeed,
            // A buyer's wish for another address is asked about at once, not only after six hours.
            free_change_s: -1,
            ..Settings::default()
        })
        .await?;
        let folder = tempfile::tempdir()?;
        let extra = format!(
            "authorizer_walk_minutes = 60\nauthorize_pc_url = \"{}\"\nauthorize_h5_url = \"{}\"\n",
            platform.pc_page(),
            platform.h5_page()
        );
        let host = HostProcess::start(folder.path(), &HostConfig::of(&platform, &extra))?;
        story.say(&format!("a fake WeChat Store listens on {}", platform.base_url()));
        story.say(&format!("the host listens on {}, its data in {}", host.address, folder.path().display()));
        let admin = host.admin();

        let mut shops = Vec::new();
        for (new, name) in [
            (NewShop::unauthorized().appid(CONTROLLERS), "手柄专营店 (controllers)"),
            (NewShop::authorized().appid(GIFTS), "礼物铺 (gifts)"),
            (NewShop::self_built().appid(TEA), "茶馆 (tea house)"),
        ] {
            shops.push(platform.add_shop(NewShop { name: Some(name.to_owned()), ..new })?);
        }
        platform.point_at(&host.address);
        platform.drained().await;
        story.say("the platform pushed its component_verify_ticket; the host keeps it sealed");
        let members = onboarding::all(&admin, &platform, shops, story).await?;

        let scene = Scene { platform, host, admin, members, folder };
        story.title("Plugins: what each exports is its subscription, what it imports it must be granted");
        scene
            .install(
                story,
                CONTROLLERS,
                "large-order-note",
                &["order-price", "order-summary", "notes"],
                json!({"threshold": 30_000}),
            )
            .await?;
        scene.install(story, CONTROLLERS, "virtual-number-mark", &["order-summary", "notes"], json!({})).await?;
        scene
            .install(
                story,
                GIFTS,
                "address-decision",
                &["order-summary", "order-delivery", "address-decision"],
                json!({}),
            )
            .await?;
        scene
            .install(
                story,
                TEA,
                "large-order-note-js",
                &["order-price", "order-summary", "notes"],
                json!({"threshold": 50_000}),
            )
            .await?;
        Ok(scene)
    }

    /// The tenant of a shop.
    pub fn tenant(&self, appid: &str) -> &str {
        self.members.iter().find(|member| member.shop.appid == appid).map_or("", |member| member.tenant.as_str())
    }

    /// Uploads a plugin and installs it with the grants that it asks for: those named, as the merchant expects.
    async fn install(
        &self,
        story: &mut Story,
        appid: &str,
        name: &str,
        expected: &[&str],
        settings: Value,
    ) -> Result<()> {
        let tenant = self.tenant(appid);
        let uploaded = self.admin.upload(tenant, name, guest(name)?).await?;
        let asked: Vec<&str> =
            uploaded["grants"].as_array().into_iter().flatten().filter_map(|grant| grant["name"].as_str()).collect();
        story.say(&format!(
            "{name} for {tenant}: {} bytes, hooks {}, asks for {}",
            uploaded["size"],
            uploaded["hooks"],
            asked.join(", ")
        ));
        let [asks, expects] = [&asked[..], expected].map(|grants| grants.iter().copied().collect::<BTreeSet<_>>());
        anyhow::ensure!(asks == expects, "{name} asks for {asks:?}, and the merchant expects {expects:?}");
        self.admin.install(tenant, &uploaded, &asked, settings).await?;
        Ok(())
    }
}
