//! Requests to a hub: the token is sent only to the hub's own address, the number of redirects is
//! limited, and answers are checked before they are accepted as files.

use std::time::{Duration, Instant};

use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION};
use ureq::http::{HeaderMap, Response, Uri};

use crate::text::printable;

/// Maximum number of redirects, the same as in ureq.
const MAX_REDIRECTS: usize = 10;
/// Timeout for a connection.
const CONNECT: Duration = Duration::from_secs(20);

/// An answer whose body has not been read yet.
pub type Answer = Response<ureq::Body>;

/// Why a request failed.
#[derive(Debug)]
pub enum RequestError {
    /// An HTTP status of 400 or more.
    Status(u16),
    /// There is no connection, or it was lost.
    Unreachable(String),
    /// The answer is not what a hub should send.
    Strange(String),
}

use RequestError::Strange;

/// The metadata of a file, as sent by the hub.
pub struct Announced {
    /// The commit of its repository.
    pub commit: String,
    /// SHA-256 for files stored with git-lfs, something else for others.
    pub etag: String,
    /// Size in bytes.
    pub size: u64,
}

/// The address of a hub, and the token that is sent only to it.
pub struct Client {
    home: Origin,
    token: Option<String>,
    patience: Duration,
}

/// Scheme, host and port.
#[derive(Debug, PartialEq, Eq)]
struct Origin(String, String, u16);

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_lowercase();
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_lowercase();
        Some(Self(scheme, host, uri.port_u16().unwrap_or(usual)))
    }
}

impl Client {
    /// For a hub at an address; `None` if it is not an HTTP address. Each answer, and each part of
    /// it, must begin within `patience`.
    pub fn new(address: &str, token: Option<String>, patience: Duration) -> Option<Self> {
        Some(Self {
            home: Origin::of(&address.parse().ok()?)?,
            token,
            patience,
        })
    }

    /// Requests the metadata of a file.
    pub fn announced(&self, url: &str) -> Result<Announced, RequestError> {
        let mut named = None;
        // The metadata is in the hub's own answer, which may redirect to another host for the
        // bytes.
        let answer = self.ask(url, "bytes=0-0", true, |headers| {
            if named.is_none() {
                let etag = headers.get("x-linked-etag").or(headers.get(ETAG));
                named = text(headers, "x-repo-commit").zip(etag.cloned());
            }
        })?;
        refuse_web_page(&answer)?;
        let missing = |name: &str| Strange(format!("it sent no {name}"));
        let (commit, etag) = named.ok_or_else(|| missing("X-Repo-Commit with an ETag"))?;
        let etag = etag.to_str().unwrap_or_default();
        let etag = etag.trim_start_matches("W/").replace('"', "");
        // Both are used as file names.
        let safe = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        for (what, text) in [("commit", &commit), ("ETag", &etag)] {
            if !safe(text) {
                let shown = printable::name(text);
                return Err(Strange(format!("its {what} is not a file name: {shown}")));
            }
        }
        let size = match content_range(&answer)? {
            Some(range) => range.total,
            None => text(answer.headers(), CONTENT_LENGTH.as_str())
                .and_then(|length| length.parse().ok()),
        };
        let size = size.ok_or_else(|| missing("size"))?;
        Ok(Announced { commit, etag, size })
    }

    /// Requests a file of `total` bytes from a given byte on. Returns the answer and the byte that
    /// it begins at: the requested one, or 0.
    pub fn part(&self, url: &str, from: u64, total: u64) -> Result<(Answer, u64), RequestError> {
        let answer = self.ask(url, &format!("bytes={from}-"), false, |_| ())?;
        refuse_web_page(&answer)?;
        let (begins, size) = if let Some(range) = content_range(&answer)? {
            (range.from, range.total)
        } else {
            let length = text(answer.headers(), CONTENT_LENGTH.as_str());
            (0, length.and_then(|length| length.parse().ok()))
        };
        if let Some(size) = size.filter(|size| *size != total) {
            return Err(Strange(format!(
                "it announced {total} bytes but sends {size}"
            )));
        }
        if begins != from && begins != 0 {
            return Err(Strange(format!(
                "it sends bytes from {begins} on, but bytes from {from} on were requested"
            )));
        }
        Ok((answer, begins))
    }

    /// Sends a request and follows redirects; `see` gets the headers of each answer. If `in_time`
    /// is set, all of them together must finish within `patience`.
    fn ask(
        &self,
        url: &str,
        range: &str,
        in_time: bool,
        mut see: impl FnMut(&HeaderMap),
    ) -> Result<Answer, RequestError> {
        let started = Instant::now();
        let no_address =
            |text: &str| Strange(format!("{} is not an address", printable::name(text)));
        let mut uri: Uri = url.parse().map_err(|_| no_address(url))?;
        for _ in 0..=MAX_REDIRECTS {
            let left = self.patience.saturating_sub(started.elapsed());
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .max_redirects(0)
                .timeout_connect(Some(CONNECT.min(self.patience)))
                .timeout_recv_response(Some(self.patience))
                .timeout_per_read(Some(self.patience))
                .timeout_global(in_time.then_some(left))
                .user_agent(concat!("camlens/", env!("CARGO_PKG_VERSION")))
                .build()
                .into();
            let mut request = agent.get(&uri).header("Range", range);
            if let Some(token) = &self.token
                && Origin::of(&uri).as_ref() == Some(&self.home)
            {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let answer = request.call().map_err(|error| match error {
                ureq::Error::StatusCode(status) => RequestError::Status(status),
                error => RequestError::Unreachable(error.to_string()),
            })?;
            see(answer.headers());
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = text(answer.headers(), LOCATION.as_str())
                .ok_or_else(|| Strange("its redirect has no target".into()))?;
            let next = resolve(&uri, &location).ok_or_else(|| {
                // Without the query and the fragment, which may contain a signature.
                let place = location.split(['?', '#']).next().unwrap_or_default();
                let place = printable::name(place);
                Strange(format!(
                    "it redirects to {place}, which is not an HTTP address"
                ))
            })?;
            if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(Strange(
                    "it redirects to an address without encryption".into(),
                ));
            }
            uri = next;
        }
        Err(Strange(format!(
            "it redirects more than {MAX_REDIRECTS} times"
        )))
    }
}

/// The target of a `Location` header, relative to an address (RFC 9110, 10.2.2); `None` if it is
/// not HTTP.
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let has_scheme = location.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let whole = if has_scheme {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base
            .path()
            .rfind('/')
            .map_or("/", |end| &base.path()[..=end]);
        format!("{scheme}://{authority}{folder}{location}")
    };
    let uri: Uri = whole.parse().ok()?;
    Origin::of(&uri).map(|_| uri)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

/// Refuses web pages, such as login pages of proxies and hotels.
fn refuse_web_page(answer: &Answer) -> Result<(), RequestError> {
    let kind = text(answer.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.to_lowercase();
    if kind.starts_with("text/html") || kind.starts_with("application/xhtml") {
        return Err(Strange(
            "it sends a web page instead of the file, perhaps a login page".into(),
        ));
    }
    Ok(())
}

/// A part of a file.
struct Part {
    from: u64,
    /// The size of the whole file, if the hub sends it.
    total: Option<u64>,
}

/// The part of the file in an answer; `None` if it is the whole file.
fn content_range(answer: &Answer) -> Result<Option<Part>, RequestError> {
    match answer.status().as_u16() {
        200 => return Ok(None),
        206 => {}
        status => {
            return Err(Strange(format!(
                "it answers {status} instead of 200 or 206"
            )));
        }
    }
    let range = text(answer.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
    let part = || {
        let (span, total) = range.strip_prefix("bytes ")?.split_once('/')?;
        Some(Part {
            from: span.split_once('-')?.0.trim().parse().ok()?,
            total: match total.trim() {
                "*" => None,
                total => Some(total.parse().ok()?),
            },
        })
    };
    let wrong = || {
        Strange(format!(
            "its Content-Range is wrong: {}",
            printable::name(&range)
        ))
    };
    part().ok_or_else(wrong).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        let origin = |text: &str| Origin::of(&text.parse().unwrap());
        let hub = origin("https://huggingface.co/timm/x");
        assert!(hub.is_some());
        for same in ["https://huggingface.co", "https://HUGGINGFACE.co:443/y?z"] {
            assert_eq!(origin(same), hub, "{same}");
        }
        for other in [
            "http://huggingface.co",
            "https://huggingface.co:8443",
            "https://cdn.huggingface.co",
            "https://huggingface.co.evil.example",
            "https://huggingface.co@evil.example/",
            "ftp://huggingface.co",
            "/timm/x",
        ] {
            assert_ne!(origin(other), hub, "{other}");
        }
        for bad in ["", "huggingface.co", "file:///etc/passwd", "https://"] {
            assert!(Client::new(bad, None, CONNECT).is_none(), "{bad}");
        }
    }

    #[test]
    fn locations_are_resolved() {
        let base: Uri = "https://hub.example:1/a/resolve/main/f?x=1"
            .parse()
            .unwrap();
        for (location, expected) in [
            (
                "https://cdn.example/y?s=1",
                Some("https://cdn.example/y?s=1"),
            ),
            ("//cdn.example/y", Some("https://cdn.example/y")),
            ("/b/f", Some("https://hub.example:1/b/f")),
            ("g", Some("https://hub.example:1/a/resolve/main/g")),
            (
                "?u=http://x",
                Some("https://hub.example:1/a/resolve/main/?u=http://x"),
            ),
            ("file:///etc/passwd", None),
            ("ftp://x/y", None),
            ("http://", None),
        ] {
            let found = resolve(&base, location).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
    }
}
