//! The task that does what authorizations want done, walks the list of accounts on its schedule, and asks for a ticket
//! at the start if there is none.

use std::sync::Arc;
use std::time::Duration;

use fangshi_lanes::Lanes;
use fangshi_tenants::{Authorizer, Issuer, Tenants, TenantsError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between looks for what is due without anybody having said so: retries, and what a crash left.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the task works with.
pub struct Sweep {
    pub tenants: Tenants,
    pub lanes: Lanes,
    pub platform: Arc<dyn Authorizer>,
    /// How often the list of accounts is walked; `None`: never.
    pub walk_every: Option<Duration>,
}

/// The running task.
pub struct Sweeper {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Sweeper {
    /// Starts it.
    pub fn start(sweep: Sweep) -> Sweeper {
        let (stopping, stopped) = watch::channel(false);
        Sweeper { stopping, task: tokio::spawn(sweep.run(stopped)) }
    }

    /// Ends it between two pieces of work, or in the midst of one that takes too long: it comes again.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(Duration::from_secs(2), &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Sweep {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let issuer: Arc<dyn Issuer> = Arc::clone(&self.platform) as Arc<dyn Issuer>;
        self.tenants.custody().ask_for_ticket(&issuer).await;
        while !*stopped.borrow() {
            if let Err(error) = self.step().await {
                tracing::warn!(%error, "authorizations wait");
            }
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = self.tenants.onboarding().wanted() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Everything that is due now.
    pub async fn step(&self) -> Result<(), TenantsError> {
        let onboarding = self.tenants.onboarding();
        let walked = match self.walk_every {
            Some(every) => {
                let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
                onboarding.walk_if_due(&self.platform, every_ms).await.map(|_| ())
            }
            None => Ok(()),
        };
        // A walk that failed must not keep what is at hand from being done.
        loop {
            let stepped = onboarding.step(&self.platform).await?;
            for tenant in stepped.woken {
                if let Err(error) = self.lanes.poke_tenant(tenant).await {
                    tracing::warn!(%tenant, %error, "lanes were not poked after an authorization");
                }
            }
            if stepped.handled == 0 {
                return walked;
            }
        }
    }
}
