//! The admin API as an operator's program would use it.
use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A client with the operator's bearer token.
#[derive(Clone)]
pub struct Admin {
    http: Client,
    base: String,
    token: String,
}

impl Admin {
    /// A client of the host at `address`.
    pub fn new(address: &str, token: &str) -> Admin {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Admin { http: Client::new(), base: address.to_owned(), token: token.to_owned() }
    }

    /// Any call, with its status.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| format!("calling {path}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// A call that must succeed.
    pub async fn must(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, value) = self.call(method, path, body).await?;
        if !status.is_success() {
            bail!("{path} answered {status}: {value}");
        }
        Ok(value)
    }

    /// Reads `path`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.must(Method::GET, path, None).await
    }

    /// Posts `body` to `path`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.must(Method::POST, path, Some(body)).await
    }

    /// All items of a paged list.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let after = next.map(|key| format!("&after={key}")).unwrap_or_default();
            let page = self.get(&format!("{path}{join}limit=200{after}")).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(key) => next = Some(key.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// Uploads a component; gives the answer (plugin, version, hooks, grants, size).
    pub async fn upload(&self, tenant: &str, name: &str, wasm: Vec<u8>) -> Result<Value> {
        let (status, value) = self.try_upload(tenant, name, wasm).await?;
        if !status.is_success() {
            bail!("upload of {name} answered {status}: {value}");
        }
        Ok(value)
    }

    /// Uploads a component that may be refused.
    pub async fn try_upload(&self, tenant: &str, name: &str, wasm: Vec<u8>) -> Result<(StatusCode, Value)> {
        let answer = self
            .http
            .post(format!("{}/api/v1/tenants/{tenant}/plugins?name={name}", self.base))
            .bearer_auth(&self.token)
            .header("content-type", "application/wasm")
            .body(wasm)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Installs an uploaded version with the given grants.
    pub async fn install(&self, tenant: &str, uploaded: &Value, grants: &[&str], settings: Value) -> Result<Value> {
        self.post(
            &format!("/api/v1/tenants/{tenant}/installations"),
            &json!({"plugin": uploaded["plugin"], "version": uploaded["version"], "grants": grants, "settings": settings, "limits": {}}),
        )
        .await
    }
}
