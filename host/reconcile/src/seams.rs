//! The platform, as far as reconciliation goes: a page of a list, and one order.

use async_trait::async_trait;
use fangshi_operations::{Class, Fault, Operations, Sent};
use fangshi_tenants::TenantId;
use serde_json::{Value, json};

/// What is listed: at most 7 days (platform page, section 4, row 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// By the time of placing, not of the last update.
    pub created: bool,
    /// Unix seconds.
    pub from_s: i64,
    /// Unix seconds.
    pub until_s: i64,
    /// The platform's cursor; empty for the first page.
    pub next_key: String,
}

/// A page of order ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The orders.
    pub order_ids: Vec<String>,
    /// For the next page.
    pub next_key: String,
    /// Whether there is one.
    pub has_more: bool,
}

/// The platform, for one tenant's shop at a time.
#[async_trait]
pub trait Shop: Send + Sync + 'static {
    /// A page of at most 100 orders.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(&self, tenant: TenantId, span: &Span) -> Result<Listed, Fault>;

    /// getorder's `order` object.
    ///
    /// # Errors
    /// [`Fault`].
    async fn order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault>;
}

/// The largest page that the platform gives.
const PAGE: u32 = 100;

#[async_trait]
impl Shop for Operations {
    async fn list(&self, tenant: TenantId, span: &Span) -> Result<Listed, Fault> {
        let op = fangshi_operations::find("search", "list-orders")
            .ok_or_else(|| Fault::new(Class::Bug, Sent::NotSent, "the table has no list of orders"))?;
        let range = if span.created { "create_time_range" } else { "update_time_range" };
        let query = json!({
            range: {"start_time": span.from_s, "end_time": span.until_s}, "page_size": PAGE, "next_key": span.next_key,
        });
        let answer = self.call(tenant, op, &json!({ "query": query })).await?;
        let ids = answer.get("order_ids").and_then(Value::as_array);
        Ok(Listed {
            order_ids: ids.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            next_key: answer.get("next_key").and_then(Value::as_str).unwrap_or_default().to_owned(),
            has_more: answer.get("has_more").and_then(Value::as_bool).unwrap_or_default(),
        })
    }

    async fn order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
        self.read_order(tenant, order_id).await
    }
}
