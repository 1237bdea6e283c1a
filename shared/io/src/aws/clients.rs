//! The AWS clients, made once.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// Clients of every service that Rowproof calls.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Objects.
    pub s3: aws_sdk_s3::Client,
    /// The ledger.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Queues.
    pub sqs: aws_sdk_sqs::Client,
    /// Passwords of databases.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// What they were made from: region and credentials.
    pub config: SdkConfig,
}

impl Clients {
    /// From the usual environment, profile or role. With an `endpoint` all services are there (the
    /// local AWS), and buckets are part of the path.
    pub async fn load(endpoint: Option<&str>) -> Clients {
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .timeout_config(timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(4));
        let loader = match endpoint {
            Some(url) => loader.endpoint_url(url),
            None => loader,
        };
        Clients::of(&loader.load().await, endpoint.is_some())
    }

    /// For a local AWS at `endpoint`, with fixed credentials.
    pub fn local(endpoint: &str, region: &str, access_key: &str, secret_key: &str) -> Clients {
        let credentials = Credentials::new(access_key, secret_key, None, None, "rowproof-local");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .timeout_config(timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SystemTimeSource::new())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(endpoint)
            .build();
        Clients::of(&config, true)
    }

    /// From a loaded configuration.
    pub fn of(config: &SdkConfig, path_style: bool) -> Clients {
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build();
        Clients {
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            config: config.clone(),
        }
    }
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(30))
        .build()
}
