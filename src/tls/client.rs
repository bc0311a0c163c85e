//! A client's certificate: its names, and whether it still counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::time::ASN1Time;

use super::der;
use crate::domain::clock::Timestamp;

/// The names in a client's verified certificate. The common name is none: it was never meant as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The URIs of the subject alternative name, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// The DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
}

impl CertificateNames {
    /// Reads the names of a certificate (DER) whose chain the handshake has verified.
    ///
    /// One has none that can't be read, isn't DER all through, or says its names twice; nor has one with a URI or DNS name among
    /// its names that is no text of printed ASCII: who signed it may have read another name there.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        if !der::is_strict(certificate) {
            return Self::default();
        }
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return Self::default() };
        let alternative = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME);
        alternative.ok().flatten().and_then(|alternative| Self::read(alternative.value)).unwrap_or_default()
    }

    /// Reads `GeneralNames` (RFC 5280, section 4.2.1.6).
    fn read(general_names: &[u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        let mut names = Self::default();
        let [sequence] = der::elements(general_names)?[..] else { return None };
        if sequence.tag != SEQUENCE || !der::is_strict(general_names) {
            return None;
        }
        for name in der::elements(sequence.contents)? {
            let text = || std::str::from_utf8(name.contents).ok().filter(|text| is_printed(text)).map(str::to_owned);
            match name.tag {
                0x82 => names.dns_names.push(text()?),
                0x86 => names.uris.push(text()?),
                // addresses, numbers and identifiers; names of other kinds, which have elements in them
                0x81 | 0x87 | 0x88 | 0xa0 | 0xa3 | 0xa4 | 0xa5 => {}
                _ => return None,
            }
        }
        Some(names)
    }

    /// Those that a service can be registered by: a URI as far as it is spelled with `://`, and a DNS name without. An authority that is
    /// trusted with names of the one kind alone so vouches for no service that has a name of the other.
    pub fn registrable(&self) -> impl Iterator<Item = &String> {
        let is_uri = |name: &str| name.contains("://");
        let uris = self.uris.iter().filter(move |name| is_uri(name));
        uris.chain(self.dns_names.iter().filter(move |name| !is_uri(name)))
    }
}

/// Whether a name could be registered to a service at all.
fn is_printed(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The certificate that the client of a connection has shown.
#[derive(Debug)]
pub struct ClientCertificate {
    names: CertificateNames,
    expires: Timestamp,
    withdrawn: AtomicBool,
}

impl ClientCertificate {
    /// Reads a certificate (DER) whose chain the handshake has verified; one that can't be read has expired.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let expires = expires(certificate).unwrap_or(Timestamp::from_micros(0));
        Self { names: CertificateNames::of(certificate), expires, withdrawn: AtomicBool::new(false) }
    }

    /// Its names; none once it has expired or nobody vouches for it any more, however long its connection stays open.
    #[must_use]
    pub fn names(&self, now: Timestamp) -> Option<&CertificateNames> {
        (now < self.expires && !self.withdrawn.load(Ordering::Acquire)).then_some(&self.names)
    }

    /// Says that the authorities don't vouch for it any more.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }
}

/// When a certificate (DER) stops counting.
pub(super) fn expires(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    // its last second counts
    Some(moment(certificate.validity.not_after).plus(Duration::from_secs(1)))
}

/// When a certificate (DER) begins to count.
pub(super) fn begins(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(moment(certificate.validity.not_before))
}

fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_micros(time.timestamp().saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_uris_and_dns_names_but_not_the_common_name() {
        let mut parameters = rcgen::CertificateParams::new(["10.0.0.1".to_owned(), "alerts.acme.test".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "admin");
        parameters.subject_alt_names.push(rcgen::SanType::URI("spiffe://acme/alerts".try_into().unwrap()));
        let certificate = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let names = CertificateNames::of(certificate.der());
        assert_eq!(names.uris, ["spiffe://acme/alerts"]);
        assert_eq!(names.dns_names, ["alerts.acme.test"]);
    }

    /// A certificate whose names are these bytes, with one of its own beside it if asked for.
    fn showing(general_names: &[u8], twice: bool) -> Vec<u8> {
        let own = if twice { vec!["alerts.acme.test".to_owned()] } else { Vec::new() };
        let mut parameters = rcgen::CertificateParams::new(own).unwrap();
        let extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], general_names.to_vec());
        parameters.custom_extensions.push(extension);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_are_read_from_der_alone() {
        let whole = showing(b"\x30\x06\x82\x01a\x82\x01b", false);
        assert_eq!(CertificateNames::of(&whole).dns_names, ["a", "b"]);
        let beside = showing(b"\x30\x0b\x87\x04\x0a\0\0\x01\x86\x03a:b", false);
        assert_eq!(CertificateNames::of(&beside).uris, ["a:b"], "an address beside it is no reason to have none");
        for (general_names, what) in [
            (&b"\x30\x05\xa2\x03\x16\x01a"[..], "a text in pieces"),
            (b"\x30\x80\x82\x01a\0\0", "a sequence without a length"),
            (b"\x30\x81\x03\x82\x01a", "a length in a long form"),
            (b"\x30\x04\x82\x81\x01a", "a length in a long form within"),
            (b"\x30\x05\xa6\x80\x16\0\0", "an end that is marked"),
            (b"\x30\x03\x82\x01a\0", "bytes behind it"),
            (b"\x30\x03\x82\x01a\x30\x03\x82\x01b", "another list behind it"),
            (b"\x30\x05\x82\x03a\0b", "a NUL within"),
            (b"\x30\x04\x82\x02a ", "a space"),
            (b"\x30\x04\x82\x02\xc3\xa4", "beyond ASCII"),
            (b"\x30\x02\x82\x00", "nothing"),
            (b"\x30\x06\x82\x01a\x86\x01\0", "a good name beside a bad one"),
            (b"\x30\x06\x82\x01a\x8f\x01b", "a good name beside one of no kind"),
            (b"\x31\x03\x82\x01a", "a set"),
            (b"\x30\x00", "an empty list"),
            (b"\x82\x01a", "a name without a list"),
            (b"", "no bytes"),
        ] {
            assert_eq!(CertificateNames::of(&showing(general_names, false)), CertificateNames::default(), "{what}");
        }
    }

    #[test]
    fn names_that_are_said_twice_or_followed_by_more_are_none() {
        let twice = showing(b"\x30\x03\x82\x01a", true);
        assert_eq!(CertificateNames::of(&twice), CertificateNames::default());
        let followed = [showing(b"\x30\x03\x82\x01a", false), vec![0]].concat();
        assert_eq!(CertificateNames::of(&followed), CertificateNames::default());
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert_eq!(CertificateNames::of(b"junk"), CertificateNames::default());
        assert!(ClientCertificate::of(b"junk").names(Timestamp::from_micros(1)).is_none());
    }

    #[test]
    fn names_count_until_the_certificate_expires_or_is_withdrawn() {
        let mut parameters = rcgen::CertificateParams::new(["alerts.acme.test".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let certificate = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let certificate = ClientCertificate::of(certificate.der());
        let end = Timestamp::from_micros(1_893_456_000_000_000);
        assert!(certificate.names(end).is_some(), "its last second");
        assert!(certificate.names(end.plus(Duration::from_secs(1))).is_none());
        certificate.withdraw();
        assert!(certificate.names(end).is_none());
    }
}
