//! A client's certificate: its names, and whether it still counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

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
    /// Reads the names of a certificate (DER) whose chain the handshake has verified; one that can't be read has none.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut names = Self::default();
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return names };
        let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return names };
        for name in &alternative.value.general_names {
            match name {
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => names.dns_names.push((*name).to_owned()),
                _ => {}
            }
        }
        names
    }
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
