//! The main job on real input: a fake WeChat Store pushes encrypted callbacks of whole order lives to a real host process, which
//! runs the shops' plugins. Each callback, answer, run and operation is printed; `--check` compares the platform's ledger with
//! the host's journal and ends with 0 only if they agree (`agreement.rs`) and the plugins did what the story says.
#![allow(missing_docs, clippy::print_stdout)]

mod agreement;
mod lives;
mod onboarding;
mod scene;
mod story;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::{scene::Scene, story::Story};

#[derive(Parser)]
#[command(about = "Fangshi's main job, told step by step")]
struct Arguments {
    /// End by itself; exit code 0 only if the platform's ledger and the host's journal agree, on what the plugins have to do.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match tell(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn tell(arguments: &Arguments) -> Result<()> {
    let mut story = Story::new();
    let scene = Scene::set(&mut story).await?;
    let promises = lives::play(&scene, &mut story).await?;
    agreement::check(&scene, &promises, &mut story).await?;
    if arguments.check {
        scene.host.terminate()?;
        return Ok(());
    }
    story.title("The host stays up. Look around, then press Ctrl-C.");
    story.say(&format!("host      {}   (admin token: {})", scene.host.address, fangshi_harness::OPERATOR_TOKEN));
    story.say(&format!("platform  {}", scene.platform.base_url()));
    story.say(&format!("data      {}", scene.folder.path().display()));
    story.say(&format!(
        "try       curl -H 'authorization: Bearer {}' {}/api/v1/tenants",
        fangshi_harness::OPERATOR_TOKEN,
        scene.host.address
    ));
    tokio::signal::ctrl_c().await?;
    scene.host.terminate()?;
    Ok(())
}
