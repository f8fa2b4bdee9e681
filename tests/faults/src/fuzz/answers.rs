//! What the platform answers: every operation, with answers that no platform gives.
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use async_trait::async_trait;
use fangshi_database::{Clock, Database, OpenOptions, TenantId};
use fangshi_operations::{Operations, OperationsConfig, table};
use fangshi_tenants::{Credentials, Kek, NewTenant, Platform, Tenants};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::Target;

/// The answers of a platform that says what it is told.
pub struct Answers {
    operations: Operations,
    tenants: Tenants,
    tenant: TenantId,
    answer: Arc<Mutex<Vec<u8>>>,
    turn: usize,
    _folder: tempfile::TempDir,
}

impl Answers {
    pub async fn start() -> Result<Answers> {
        let answer = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api_base = format!("http://{}", listener.local_addr()?);
        tokio::spawn(platform(listener, answer.clone()));
        let folder = tempfile::tempdir()?;
        let clock = Clock::system();
        let database = Database::open(OpenOptions::new(folder.path())).await?;
        let tenants = Tenants::open(database, Kek::from_bytes(&crate::KEY), None, clock.clone()).await?;
        let config = OperationsConfig { api_base, clock, ..OperationsConfig::default() };
        let operations = Operations::new(config, tenants.clone())?;
        let mut answers = Answers { operations, tenants, tenant: TenantId::HOST, answer, turn: 0, _folder: folder };
        answers.another_shop().await?;
        Ok(answers)
    }

    /// Answers end authorizations and open breakers: what comes after them is for a shop that has heard none yet.
    async fn another_shop(&mut self) -> Result<()> {
        let new = NewTenant {
            platform: Platform::Weixin,
            appid: format!("wxanswers{:09}", self.turn),
            user_name: None,
            name: "a shop".into(),
            credentials: Credentials::Authorized {
                access_token: Some(SecretString::from("token")),
                expires_in: None,
                refresh_token: None,
            },
        };
        self.tenant = self.tenants.create(new).await?.id;
        Ok(())
    }
}

/// Answers every request with what is to be said now.
async fn platform(listener: TcpListener, answer: Arc<Mutex<Vec<u8>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut piece).await {
                seen.extend_from_slice(&piece[..count]);
                if !whole(&seen) {
                    continue;
                }
                seen.clear();
                let body = answer.lock().map(|answer| answer.clone()).unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&body).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Whether a request is there with its body.
fn whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}

#[async_trait]
impl Target for Answers {
    fn name(&self) -> &'static str {
        "api-answers"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds: Vec<Vec<u8>> = [
            r#"{"errcode":0,"errmsg":"ok"}"#,
            r#"{"errcode":100003,"errmsg":"busy"}"#,
            r#"{"errcode":40001,"errmsg":"invalid credential"}"#,
            r#"{"errcode":0,"order_id_list":["3732676853715311104"],"next_key":"k","has_more":false}"#,
            r#"{"errcode":0,"virtual_tel_number":"18400000000","virtual_tel_extension":"1234","expiration":1764642403,"get_virtual_tel_cnt":1}"#,
            r#"{"errcode":0,"company_list":[{"delivery_id":"SF","delivery_name":"顺丰"}]}"#,
        ]
        .map(|text| text.as_bytes().to_vec())
        .into();
        seeds.push(include_bytes!("../../../platform/fixtures/getorder-before.json").to_vec());
        seeds.push(include_bytes!("../../../platform/fixtures/getorder-after.json").to_vec());
        seeds
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        *self.answer.lock().ok().context("the platform panicked")? = input.to_vec();
        if self.turn % 8 == 7 {
            self.another_shop().await?;
        }
        let op = &table()[self.turn % table().len()];
        self.turn += 1;
        let request = json!({"order_id": "3732676853715311104", "merchant_notes": "note"});
        let _ = self.operations.call(self.tenant, op, &request).await;
        let _ = self.operations.read_order(self.tenant, "3732676853715311104").await;
        if let Ok(order) = serde_json::from_slice(input) {
            let _ = fangshi_operations::redact(op, &order);
        }
        Ok(())
    }
}
