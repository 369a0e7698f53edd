//! Bringing a file to this build's version without working on it.

use fluid_core::{BrokerError, BrokerResult};

use crate::broker::{SqliteBroker, absolute};
use crate::options::SqliteOptions;
use crate::{connection, schema};

impl SqliteBroker {
    /// Makes the file if there is none, and brings it to this build's schema version. The version that it had, 0 when it
    /// was made, and the one that it has.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn migrate(options: &SqliteOptions) -> BrokerResult<(u32, u32)> {
        let options = options.clone();
        let url = options.describe();
        let path = absolute(&options)?;
        let migrating = tokio::task::spawn_blocking(move || {
            connection::prepare_file(&options)?;
            connection::migrate(&options, &path)
                .map_err(|fault| fault.to_error(&options.describe(), &options.path))
        });
        let found = migrating.await.map_err(|error| BrokerError::Other {
            broker: url,
            reason: error.to_string(),
            source: None,
        })??;
        Ok((found, schema::supported()))
    }
}
