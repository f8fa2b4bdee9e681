//! Telling what happens: pushes and calls from the platform's ledger, runs from the host's journal, in the order of time.
use anyhow::{Result, bail};
use serde_json::Value;

use crate::scene::Scene;

/// Looks at the backlog before the demo gives up; one every 20 ms.
const PATIENCE: usize = 1_500;

#[derive(Default)]
pub struct Story {
    calls: usize,
    pushes: usize,
    runs: std::collections::HashSet<String>,
}

impl Story {
    pub fn new() -> Story {
        Story::default()
    }

    pub fn title(&mut self, words: &str) {
        println!("\n━━ {words}");
    }

    pub fn step(&mut self, words: &str) {
        println!("\n • {words}");
    }

    pub fn say(&mut self, words: &str) {
        println!("   {words}");
    }

    /// An order as the platform has it now, in a line.
    pub fn order(&mut self, scene: &Scene, id: &str) -> Result<()> {
        let Some(order) = scene.platform.order(id) else { bail!("the platform has no order {id}") };
        let detail = &order["order_detail"];
        let address = &detail["delivery_info"]["address_info"];
        self.say(&format!(
            "order {id}: status {} ({}), note {:?}, virtual number {}, parcels {}, address under review: {}",
            order["status"],
            status_word(&order["status"]),
            detail["ext_info"]["merchant_notes"].as_str().unwrap_or_default(),
            if address["tel_number_ext_info"]["virtual_tel_number"].is_string() { "given out" } else { "none" },
            detail["delivery_info"]["delivery_product_info"].as_array().map_or(0, Vec::len),
            if detail["delivery_info"]["address_under_review"].is_object() { "yes" } else { "no" },
        ));
        Ok(())
    }

    /// Waits until nothing is under way on either side, then tells what came to pass.
    pub async fn follow(&mut self, scene: &Scene) -> Result<()> {
        settle(scene).await?;
        let news = scene.platform.ledger_after(self.calls, self.pushes);
        for push in &news.pushes {
            let answer = push.attempts.last().map(|attempt| {
                format!(
                    "{} {:?}",
                    attempt.status.map_or("no answer".into(), |status| status.to_string()),
                    attempt.answer
                )
            });
            self.say(&format!(
                "→ push {} {}{} as {:?}, ids as {:?}: {} after {} attempt(s)",
                push.name,
                push.order_id().unwrap_or_default(),
                push.ext_type().map(|number| format!(" type {number}")).unwrap_or_default(),
                push.form.body,
                push.form.ids,
                answer.unwrap_or_else(|| "not sent".into()),
                push.attempts.len(),
            ));
        }
        self.tell_runs(scene).await?;
        for call in &news.calls {
            self.say(&format!(
                "← call {} {}{}: errcode {}{}",
                call.operation.unwrap_or(call.path.as_str()),
                call.order_id.as_deref().unwrap_or_default(),
                call.request.get("merchant_notes").map(|note| format!(" note {note}")).unwrap_or_default(),
                call.errcode.map_or("none".into(), |code| code.to_string()),
                if call.applied { ", applied" } else { "" },
            ));
        }
        self.calls += news.calls.len();
        self.pushes += news.pushes.len();
        Ok(())
    }

    async fn tell_runs(&mut self, scene: &Scene) -> Result<()> {
        for member in &scene.members {
            let tenant = &member.tenant;
            for run in scene.admin.all(&format!("/api/v1/tenants/{tenant}/runs")).await?.into_iter().rev() {
                let Some(id) = run["id"].as_str() else { continue };
                if !self.runs.insert(id.to_owned()) {
                    continue;
                }
                let detail = scene.admin.get(&format!("/api/v1/tenants/{tenant}/runs/{id}")).await?;
                let Some(attempt) = detail["attempt_list"].as_array().and_then(|attempts| attempts.last()) else {
                    continue;
                };
                self.say(&format!(
                    "  run {id} {} of {}: {}, {} fuel, {} KiB, {} host call(s)",
                    text(&detail["hook"]),
                    text(&detail["installation"]),
                    text(&detail["state"]),
                    attempt["fuel"],
                    attempt["peak_memory"].as_u64().unwrap_or(0) / 1024,
                    attempt["calls"].as_array().map_or(0, Vec::len),
                ));
                for call in attempt["calls"].as_array().into_iter().flatten() {
                    self.say(&format!("    {} → {}", text(&call["name"]), text(&call["result"])));
                }
                for line in attempt["logs"].as_array().into_iter().flatten() {
                    self.say(&format!("    log: {}", text(&line["text"])));
                }
            }
        }
        Ok(())
    }
}

/// Waits until the platform has no push left and the host no backlog; effects cause pushes, so both must hold twice.
pub async fn settle(scene: &Scene) -> Result<()> {
    let mut still = 0;
    for _ in 0..PATIENCE {
        scene.platform.drained().await;
        let ready = scene.admin.get("/readyz").await?;
        if ready["backlog"]["events"].as_u64() == Some(0) {
            still += 1;
            if still == 3 {
                return Ok(());
            }
        } else {
            still = 0;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    bail!("the host's backlog does not reach zero: {}", scene.admin.get("/readyz").await?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn status_word(status: &Value) -> &'static str {
    match status.as_i64() {
        Some(10) => "unpaid",
        Some(12) => "gift to be accepted",
        Some(20) => "to be shipped",
        Some(21) => "partly shipped",
        Some(30) => "shipped",
        Some(100) => "finished",
        _ => "other",
    }
}
