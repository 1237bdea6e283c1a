//! IAM tokens: a presigned request that RDS takes as a password for 15 minutes (Amazon RDS User Guide,
//! "Connecting to your DB instance using IAM authentication").

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::error::{PostgresError, setup};

/// How long a token lasts.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// The password of a user of a database that knows roles.
pub(crate) async fn iam_token(
    sdk: &SdkConfig,
    config: &Config,
    now: SystemTime,
) -> Result<String, PostgresError> {
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        return Err(setup("an IAM token needs a host name".into()));
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or_default();
    let missing = |what: &str| setup(format!("an IAM token needs {what}"));
    let region = sdk.region().ok_or_else(|| missing("a region"))?.to_string();
    let provider = sdk.credentials_provider().ok_or_else(|| missing("credentials"))?;
    let credentials = provider.provide_credentials().await.map_err(|e| setup(e.to_string()))?;
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(LASTS);
    settings.signature_location = SignatureLocation::QueryParams;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| setup(error.to_string()))?;
    let address = format!("{host}:{port}/?Action=connect&DBUser={user}");
    let uri = format!("https://{address}");
    let body = SignableBody::Bytes(&[]);
    let request = SignableRequest::new("GET", &uri, std::iter::empty(), body);
    let request = request.map_err(|error| setup(error.to_string()))?;
    let signed = sign(request, &params.into()).map_err(|error| setup(error.to_string()))?;
    let (instructions, _) = signed.into_parts();
    let mut token = address;
    for (name, value) in instructions.params() {
        let encoded: String = value.bytes().map(escaped).collect();
        token.push_str(&format!("&{name}={encoded}"));
    }
    Ok(token)
}

/// A byte of a query's value (RFC 3986, section 2.3).
fn escaped(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    }
}
