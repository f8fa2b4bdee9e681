//! One authorized shop in a fresh store.
use anyhow::Result;
use fangshi_database::{Clock, Database, TenantId};
use fangshi_tenants::{Credentials, Kek, NewTenant, Platform, Tenants};
use secrecy::SecretString;

pub const TOKEN: &str = "token-of-the-benchmark";

pub async fn open(database: &Database, clock: &Clock) -> Result<(Tenants, TenantId)> {
    let tenants = Tenants::open(database.clone(), Kek::from_bytes(&[9; 32]), None, clock.clone()).await?;
    let new = NewTenant {
        platform: Platform::Weixin,
        appid: "wx0000000000000001".to_owned(),
        user_name: None,
        name: "a shop".to_owned(),
        credentials: Credentials::Authorized {
            access_token: Some(SecretString::from(TOKEN)),
            expires_in: None,
            refresh_token: None,
        },
    };
    let tenant = tenants.create(new).await?.id;
    Ok((tenants, tenant))
}
