//! Connections to whatever a URL names.

use std::path::Path;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    FromRedisValue, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult,
    TlsCertificates, TlsMode, Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::fault::{Fault, Outcome};
use crate::options::RedisOptions;
use crate::place::Kind;

/// One connection, over which any number of calls go at once.
#[derive(Clone)]
pub(crate) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Asks any server that takes writes: for what concerns no key.
    pub(crate) async fn ask_any<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
                Ok(redis::from_redis_value(
                    connection.route_command(command.clone(), any).await?,
                )?)
            }
        }
    }

    /// Asks, and waits until so many replicas have what was written; how many have it.
    pub(crate) async fn ask_and_replicate(
        &mut self,
        command: Cmd,
        replicas: u32,
        within: u64,
    ) -> RedisResult<(Value, i64)> {
        let mut pipeline = redis::pipe();
        pipeline
            .add_command(command)
            .cmd("WAIT")
            .arg(replicas)
            .arg(within);
        match self {
            Self::One(connection) => pipeline.query_async(connection).await,
            Self::Cluster(connection) => pipeline.query_async(connection).await,
        }
    }
}

/// Makes connections.
pub(crate) struct Connector {
    options: RedisOptions,
    certificates: Option<TlsCertificates>,
    /// Whom to ask for the primary, if Sentinels know it.
    sentinels: Option<Mutex<SentinelClient>>,
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(file).map_err(|error| Fault::Options(format!("{file:?} can't be read ({error})")))
}

impl Connector {
    pub(crate) fn new(options: &RedisOptions) -> Outcome<Self> {
        let place = &options.place;
        let certificates = if place.tls {
            // Fails when the program has chosen already, and then its choice holds.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client_tls = match &options.certificate {
                Some((cert, key)) => Some(ClientTlsConfig {
                    client_cert: read(cert)?,
                    client_key: read(key)?,
                }),
                None => None,
            };
            Some(TlsCertificates {
                client_tls,
                root_cert: options.ca.as_deref().map(read).transpose()?,
            })
        } else {
            None
        };
        let mut connector = Self {
            options: options.clone(),
            certificates,
            sentinels: None,
        };
        if let Kind::Sentinel(master) = &place.kind {
            connector.sentinels = Some(Mutex::new(connector.sentinel_client(master)?));
        }
        Ok(connector)
    }

    /// Whether another connection may lead to another server.
    pub(crate) fn may_move(&self) -> bool {
        matches!(self.options.place.kind, Kind::Sentinel(_) | Kind::Cluster)
    }

    fn sentinel_client(&self, master: &str) -> Outcome<SentinelClient> {
        let place = &self.options.place;
        let sentinels = place
            .hosts
            .iter()
            .map(|(host, port)| self.address(host, *port));
        let mut builder =
            SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
                .set_client_to_redis_db(place.db)
                .set_client_to_redis_protocol(ProtocolVersion::RESP2)
                .set_client_to_sentinel_protocol(ProtocolVersion::RESP2);
        if let Some(user) = &place.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &place.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let (Some(user), _) = &self.options.sentinel_login {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let (_, Some(password)) = &self.options.sentinel_login {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        Ok(builder.build()?)
    }

    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        let host = host.to_owned();
        if self.options.place.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn settings(&self) -> RedisConnectionInfo {
        let place = &self.options.place;
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_lib_name("fluid", env!("CARGO_PKG_VERSION"));
        if place.kind != Kind::Cluster {
            settings = settings.set_db(place.db);
        }
        if let Some(user) = &place.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &place.password {
            settings = settings.set_password(password);
        }
        settings
    }

    fn info(&self, address: ConnectionAddr) -> Outcome<ConnectionInfo> {
        Ok(address
            .into_connection_info()?
            .set_redis_settings(self.settings()))
    }

    fn client_at(&self, address: ConnectionAddr) -> Outcome<Client> {
        let info = self.info(address)?;
        Ok(match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone())?,
            None => Client::open(info)?,
        })
    }

    /// The servers to talk to: one, or the nodes of a cluster that are known.
    async fn clients(&self) -> Outcome<Vec<Client>> {
        let place = &self.options.place;
        if let Some(sentinels) = &self.sentinels {
            // Only whoever connects asks, one after the other.
            let mut sentinels = sentinels.lock().await;
            return Ok(vec![sentinels.async_get_client().await?]);
        }
        if let Kind::Socket(path) = &place.kind {
            return Ok(vec![self.client_at(ConnectionAddr::Unix(path.into()))?]);
        }
        let addresses = place
            .hosts
            .iter()
            .map(|(host, port)| self.address(host, *port));
        addresses.map(|address| self.client_at(address)).collect()
    }

    /// A connection for calls. Cancellation safe.
    pub(crate) async fn connect(&self) -> Outcome<Connection> {
        let within = self.options.answer_within;
        let connecting = async {
            if self.options.place.kind == Kind::Cluster {
                return self.cluster().await.map(Connection::Cluster);
            }
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None);
            let clients = self.clients().await?;
            let client = clients
                .first()
                .ok_or_else(|| Fault::Options("no server is named".to_owned()))?;
            Ok(Connection::One(
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?,
            ))
        };
        timeout(within, connecting)
            .await
            .unwrap_or(Err(Fault::NoGreeting(within)))
    }

    async fn cluster(&self) -> Outcome<ClusterConnection> {
        let place = &self.options.place;
        let nodes: Vec<ConnectionInfo> = place
            .hosts
            .iter()
            .map(|(host, port)| self.info(self.address(host, *port)))
            .collect::<Outcome<_>>()?;
        // Whoever asks tries again, and says so to the server.
        let mut builder = ClusterClientBuilder::new(nodes)
            .retries(0)
            .use_protocol(ProtocolVersion::RESP2)
            .connection_timeout(self.options.answer_within)
            .response_timeout(self.options.answer_within);
        if let Some(certificates) = &self.certificates {
            builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
        }
        Ok(builder.build()?.get_async_connection().await?)
    }

    /// A connection that listens. Cancellation safe.
    pub(crate) async fn listen(&self) -> Outcome<PubSub> {
        let within = self.options.answer_within;
        let connecting = async {
            let mut last = Fault::Options("no server is named".to_owned());
            // Any node of a cluster tells what was told to another.
            for client in self.clients().await? {
                match client.get_async_pubsub().await {
                    Ok(listener) => return Ok(listener),
                    Err(error) => last = error.into(),
                }
            }
            Err(last)
        };
        timeout(within, connecting)
            .await
            .unwrap_or(Err(Fault::NoGreeting(within)))
    }
}
