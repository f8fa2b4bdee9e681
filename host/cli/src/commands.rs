//! The command line: what there is, and how an error leaves the process.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::audit::{self, AuditCommand};
use crate::compile::{self, CompileArguments};
use crate::config::{Config, ConfigError, KEY_VARIABLE, KEYS, KeySource, Kind, PLANS, limits, limits_of_plan};
use crate::{backup, keys, logs, plugin, replay, serve, tenant};

/// Fangshi: a WebAssembly plugin runtime for the orders of many shops.
#[derive(Parser)]
#[command(name = "fangshi", version, arg_required_else_help = true)]
pub struct Commands {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the host. Prints `fangshi listening on http://ADDRESS` when it is ready; SIGTERM or Ctrl-C ends it.
    Serve {
        /// The config file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make, show or run one plugin without a host.
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Compile the component on standard input. Of no use by hand: `serve` starts it.
    #[command(hide = true)]
    Compile(CompileArguments),
    /// The key that seals tokens and buyer data.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// One tenant's data.
    Tenant {
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// Execute a recorded attempt again, exactly, and say whether it is the same. Sends nothing. The host must be down; POST
    /// /api/v1/tenants/{id}/runs/{run}/replay does the same while it runs.
    Replay(replay::ReplayArguments),
    /// Try a version on recorded events: which effects would be added, lost or changed. Sends nothing. The host must be
    /// down; POST /api/v1/tenants/{id}/backtests does the same while it runs.
    Backtest(replay::BacktestArguments),
    /// Copy the store into one file, beside a running host or without one. The keys are never in it.
    Backup(backup::BackupArguments),
    /// Put a backup back into an empty data folder, held: callbacks are recorded, no plugin runs. With --release, end the
    /// hold.
    Restore(backup::RestoreArguments),
    /// Check who did what: the chain of the audit. A running host does not stand in the way.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Check a config, or list its keys.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Run a plugin's hook for one event, offline: changes are printed and answered ok, nothing is sent.
    Run(plugin::RunArguments),
    /// Show what a plugin subscribes to and asks for.
    Inspect {
        /// The component (.wasm).
        file: PathBuf,
    },
    /// Make a folder with a working plugin, its tests, and everything that it is built with.
    New(plugin::NewArguments),
    /// Make a component of the module that a compiler makes of a plugin: cargo, or clang with WASI's library.
    Component {
        /// The module (.wasm).
        module: PathBuf,
        /// The component to write.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Wrap every data key anew under another key. The host must be down; nothing that was sealed changes.
    Rotate {
        /// The config file (TOML), which names the present key.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The file of the new key; made if it does not exist.
        #[arg(long, value_name = "NEWFILE")]
        to: PathBuf,
    },
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Write everything of one tenant, in clear, as lines of JSON. The host must be down; GET
    /// /api/v1/tenants/{id}/export does the same while it runs.
    Export {
        /// The config file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The tenant, such as t1.
        #[arg(long, value_name = "ID")]
        tenant: fangshi_tenants::TenantId,
        /// The file to make; only its owner may read it.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read a config as `serve` would and say whether it is right. Starts nothing.
    Check {
        /// The config file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// List every key, what is expected, and where a secret may come from.
    Keys,
}

impl Commands {
    /// Runs the command; errors go to standard error.
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            // A host that nobody listens to must say so; whoever cut off a list has seen enough of it.
            Command::Serve { config } => return run_serve(&config).unwrap_or_else(|error| told(&error)),
            Command::Plugin { command: PluginCommand::Run(arguments) } => plugin::run(&arguments),
            Command::Plugin { command: PluginCommand::Inspect { file } } => plugin::inspect(&file),
            Command::Plugin { command: PluginCommand::New(arguments) } => plugin::new(&arguments),
            Command::Plugin { command: PluginCommand::Component { module, to } } => plugin::component(&module, &to),
            Command::Compile(arguments) => compile::run(&arguments),
            Command::Keys { command: KeysCommand::Rotate { config, to } } => keys::rotate_to(&config, &to),
            Command::Tenant { command: TenantCommand::Export { config, tenant: id, to } } => {
                tenant::export(&config, id, &to)
            }
            Command::Replay(arguments) => replay::replay(&arguments),
            Command::Backtest(arguments) => replay::backtest(&arguments),
            Command::Backup(arguments) => backup::backup(&arguments),
            Command::Restore(arguments) => backup::restore(&arguments),
            Command::Audit { command } => audit::run(command),
            Command::Config { command: ConfigCommand::Check { config } } => check_config(&config),
            Command::Config { command: ConfigCommand::Keys } => list_keys(),
        };
        match result {
            Ok(code) => code,
            Err(error) if is_cut_off(&error) => ExitCode::SUCCESS,
            Err(error) => told(&error),
        }
    }
}

fn run_serve(file: &std::path::Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    logs::start(config.log_format);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    serve::run(config)?;
    Ok(ExitCode::SUCCESS)
}

fn check_config(file: &std::path::Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    config.check_key_file()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: right", file.display())?;
    writeln!(out, "listen    {}", config.listen)?;
    writeln!(out, "data_dir  {}", config.data_dir.display())?;
    match &config.key {
        KeySource::File(file) => writeln!(out, "key_file  {}", file.display())?,
        KeySource::Text(_) => writeln!(out, "key_file  none: the key is in the environment's {KEY_VARIABLE}")?,
    }
    writeln!(out, "erased    {}", config.erased_file.display())?;
    writeln!(out, "api_base  {}", config.api_base)?;
    match &config.component {
        Some(component) => writeln!(out, "component {}", component.appid)?,
        None => writeln!(out, "component none: only self-built tenants can be served")?,
    }
    for warning in config.warnings() {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list_keys() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for key in KEYS {
        writeln!(out, "{}: {}", key.path(), key.wanted())?;
        if key.kind == Kind::Secret {
            writeln!(out, "    or {}_file = \"FILE\", or the environment's {}", key.path(), key.variable())?;
        }
    }
    for key in limits() {
        writeln!(out, "{}: {}", key.path(), key.wanted())?;
    }
    for key in limits_of_plan() {
        writeln!(out, "{PLANS}.NAME.{}: as in [limits], for the tenants of the plan NAME", key.name)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether standard output was closed by its reader, as `head` does. Only a bare write fails so: errors of files and
/// sockets come with their context.
fn is_cut_off(error: &anyhow::Error) -> bool {
    let bare = error.chain().count() == 1;
    bare && error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints an error with its causes. A wrong config is the caller's to correct (2); for the rest (1) a backtrace may
/// help, and whoever reads this may not know how to get one.
fn told(error: &anyhow::Error) -> ExitCode {
    let mut out = std::io::stderr().lock();
    if let Some(wrong) = error.downcast_ref::<ConfigError>() {
        let _ = writeln!(out, "fangshi: the config is wrong\n{wrong}");
        return ExitCode::from(2);
    }
    let _ = writeln!(out, "fangshi: {error:#}");
    let wanted = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    let _ = if wanted {
        writeln!(out, "{}", error.backtrace())
    } else {
        writeln!(out, "(RUST_BACKTRACE=1 shows where in the program, RUST_LOG=debug what led to it)")
    };
    ExitCode::FAILURE
}
