//! The fake WeChat Store as a program: prints its address and its component's appid, and runs until it is stopped.
//! Everything else is done over `/control`.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use fangshi_platform::{FormChoice, NewShop, Platform, Settings, TimeSource};

/// A fake WeChat Store on loopback.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Platform seconds per real second; 0 stops time but for POST /control/time.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// First moment in unix seconds (default: now).
    #[arg(long)]
    start: Option<i64>,
    /// Draw the spelling of each push: XML or JSON, ids as numbers or texts.
    #[arg(long)]
    any_form: bool,
    /// Host to push to: http://HOST:PORT with the routes /callback/weixin/…
    #[arg(long)]
    push_to: Option<String>,
    /// Add a shop with the two real orders.
    #[arg(long)]
    real_orders: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    anyhow::ensure!(arguments.scale >= 0.0 && arguments.scale.is_finite(), "--scale must be 0 or more");
    let platform = Platform::start(Settings {
        seed: arguments.seed,
        listen: arguments.listen,
        time: TimeSource::Scaled { start: arguments.start, factor: arguments.scale },
        form: if arguments.any_form { FormChoice::BySeed } else { FormChoice::Documented },
        ..Settings::default()
    })
    .await
    .context("the fake platform does not start")?;
    let mut out = std::io::stdout();
    writeln!(out, "fake-weixin listens on {}", platform.base_url())?;
    writeln!(out, "component {}", platform.component().appid)?;
    if arguments.real_orders {
        let shop = platform.add_shop(NewShop::authorized())?;
        platform.load_real_orders(&shop.appid)?;
        writeln!(out, "shop {} {} with the two real orders", shop.appid, shop.user_name)?;
    }
    if let Some(host) = &arguments.push_to {
        platform.point_at(host);
    }
    out.flush()?;
    tokio::signal::ctrl_c().await.context("cannot wait for the signal")?;
    platform.stop();
    Ok(())
}
