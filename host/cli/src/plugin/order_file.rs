//! Order files: the answer of getorder, or the order object alone.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use fangshi_database::Digest;
use fangshi_runtime::Snapshot;
use serde_json::Value;

/// Reads an order file.
pub fn read(file: &Path) -> anyhow::Result<Arc<Snapshot>> {
    let bytes = std::fs::read(file).with_context(|| format!("order file {}", file.display()))?;
    parse(&bytes).with_context(|| {
        format!(
            "order file {}: expected an answer of getorder {{errcode, order: {{…}}}} or the order object alone",
            file.display()
        )
    })
}

fn parse(bytes: &[u8]) -> anyhow::Result<Arc<Snapshot>> {
    // As the host reads an answer: no number passes through a float.
    let whole = fangshi_operations::parse_exact(bytes).context("not JSON")?;
    let order = match whole {
        Value::Object(mut members) => match members.remove("order") {
            Some(order) => order,
            None => Value::Object(members),
        },
        _ => bail!("not an object"),
    };
    let order_id = match order.get("order_id") {
        Some(Value::String(id)) if !id.is_empty() => id.clone(),
        _ => bail!("it has no order_id"),
    };
    let digest = Digest::of(&serde_json::to_vec(&order)?).0;
    Ok(Arc::new(Snapshot { order_id, json: order, digest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let answer = br#"{"errcode":0,"errmsg":"ok","order":{"order_id":"3732676853715311104","status":20}}"#;
        let bare = br#"{"order_id":3732676853715311104,"status":20}"#;
        for text in [&answer[..], &bare[..]] {
            let order = parse(text).unwrap();
            assert_eq!(order.order_id, "3732676853715311104");
            assert_eq!(order.json["status"], 20);
        }
        let long = br#"{"order_id":37,"order_detail":{"pay_info":{"transaction_id":4305302589202512021658649917}}}"#;
        let order = parse(long).unwrap();
        assert_eq!(order.json["order_detail"]["pay_info"]["transaction_id"], "4305302589202512021658649917");
        for wrong in [&b"[]"[..], b"{", b"{}", br#"{"order":5}"#, br#"{"errcode":10020053,"errmsg":"no"}"#] {
            assert!(parse(wrong).is_err());
        }
    }
}
