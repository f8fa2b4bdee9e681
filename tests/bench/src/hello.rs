//! The peer of `ack`: an axum handler that does nothing, in a process of its own like the host.
use std::io::Write;

use anyhow::Result;
use axum::{Router, routing::get};

/// Serves until it is killed; prints its address.
pub fn serve() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("hello listening on http://{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        axum::serve(listener, Router::new().route("/", get(|| async { "Hello, World!" }))).await?;
        Ok(())
    })
}
