//! Clients, and an AWS for each test.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_smithy_http_client::{Builder, tls};
use rowproof_local::{ACCESS_KEY, LocalAws, Options, REGION, SECRET_KEY};

/// Clients of one AWS, with a bucket, a table and a queue of this test's own.
pub(crate) struct World {
    /// `None` if the tests run against another AWS.
    pub(crate) aws: Option<LocalAws>,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) bucket: String,
    pub(crate) table: String,
    pub(crate) queue: String,
}

#[allow(clippy::disallowed_methods, reason = "a test binary has no other settings")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The one place where clients are configured; without an endpoint they talk to AWS.
pub(crate) async fn config(endpoint: Option<&str>) -> SdkConfig {
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Builder::new().tls_provider(ring).build_https())
        // A race must see the first answer of the server, not that of a retry.
        .retry_config(RetryConfig::disabled());
    let Some(endpoint) = endpoint else {
        return loader.load().await;
    };
    loader
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests"))
        .load()
        .await
}

pub(crate) fn s3_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(config)
}

impl World {
    pub(crate) async fn start() -> Self {
        if setting("ROWPROOF_TEST_AWS").is_some() {
            return Self::with(None, None).await;
        }
        if let Some(endpoint) = setting("ROWPROOF_TEST_ENDPOINT") {
            return Self::with(None, Some(&endpoint)).await;
        }
        Self::local(Options::default()).await
    }

    /// A local AWS, for tests of what only that has.
    pub(crate) async fn local(options: Options) -> Self {
        let aws = LocalAws::start(options).await.unwrap();
        let endpoint = aws.endpoints().url.clone();
        Self::with(Some(aws), Some(&endpoint)).await
    }

    async fn with(aws: Option<LocalAws>, endpoint: Option<&str>) -> Self {
        let config = config(endpoint).await;
        let name = format!("rowproof-{:016x}", fastrand::u64(..));
        Self {
            aws,
            s3: s3_client(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            bucket: name.clone(),
            table: name.clone(),
            queue: name,
        }
    }

    pub(crate) fn local_aws(&self) -> &LocalAws {
        self.aws.as_ref().unwrap()
    }

    pub(crate) async fn with_bucket(self) -> Self {
        self.s3.create_bucket().bucket(&self.bucket).send().await.unwrap();
        self
    }

    pub(crate) async fn with_table(self) -> Self {
        let key = AttributeDefinition::builder()
            .attribute_name("pk")
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap();
        let schema =
            KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build();
        self.dynamodb
            .create_table()
            .table_name(&self.table)
            .attribute_definitions(key)
            .key_schema(schema.unwrap())
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
        loop {
            let described = self.dynamodb.describe_table().table_name(&self.table).send().await;
            let table = described.unwrap().table.unwrap();
            if table.table_status.is_some_and(|status| status.as_str() == "ACTIVE") {
                return self;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Puts an object and gives its tag.
    pub(crate) async fn put(&self, key: &str, body: &'static [u8]) -> String {
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        put.body(body.to_vec().into()).send().await.unwrap().e_tag.unwrap()
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let get = self.s3.get_object().bucket(&self.bucket).key(key).send().await.unwrap();
        get.body.collect().await.unwrap().to_vec()
    }
}

/// HTTP status and error code of a refused call.
#[macro_export]
macro_rules! refusal {
    ($call:expr) => {{
        use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
        let error = $call.send().await.expect_err("the call should be refused");
        let status = error.raw_response().map(|response| response.status().as_u16());
        (status.unwrap_or(0), error.code().unwrap_or_default().to_owned())
    }};
}
