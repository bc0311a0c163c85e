//! The names in clients' certificates.

use std::sync::LazyLock;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use user_management::domain::clock::Timestamp;
use user_management::tls::{CertificateNames, ClientCertificate};
use x509_parser::extensions::GeneralName;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("a key"));

pub(super) fn holds(bytes: &[u8]) -> bool {
    whole(bytes);
    let mut parameters = CertificateParams::new([]).expect("no names");
    parameters.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], bytes.to_vec()));
    let certificate = parameters.self_signed(&*KEY).expect("a certificate");
    let names = CertificateNames::of(certificate.der());
    assert_eq!(CertificateNames::of(&[certificate.der(), &[0][..]].concat()), CertificateNames::default(), "bytes behind it");
    mangled(certificate.der(), bytes, &names);
    let known = names.dns_names.iter().map(|name| (0x82, name)).chain(names.uris.iter().map(|name| (0x86, name)));
    for (tag, name) in known {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        let element = [&[tag][..], &length(name.len()), name.as_bytes()].concat();
        assert!(bytes.windows(element.len()).any(|window| window == element), "{name} stands there as DER has it");
    }
    let any = names != CertificateNames::default();
    if any {
        assert!(bytes.starts_with(&[&[0x30][..], &length(inner(bytes).len())].concat()), "one list");
        assert_eq!(forgiving(certificate.der()), Some(names), "no other reader finds others");
    }
    any
}

/// What is no certificate has no names, and counts at no moment; whatever it is, it is read to an end.
fn whole(bytes: &[u8]) {
    assert_eq!(CertificateNames::of(bytes), CertificateNames::default());
    assert!(ClientCertificate::of(bytes).names(Timestamp::from_micros(1)).is_none());
}

/// A certificate with one byte exchanged has its names or none: it takes a signature to have others.
fn mangled(certificate: &[u8], bytes: &[u8], names: &CertificateNames) {
    let at = |position: usize| usize::from(bytes.get(position).copied().unwrap_or_default());
    let mut mangled = certificate.to_vec();
    let place = (at(0) * 256 + at(1)) % mangled.len();
    mangled[place] ^= 1 << (at(2) % 8);
    let found = CertificateNames::of(&mangled);
    let count = |names: &CertificateNames| names.dns_names.len() + names.uris.len();
    // a tag that was bent may make one element of two, and never two of one
    assert!(count(&found) <= count(names).max(1), "{found:?} of {names:?}");
}

/// The names as a reader finds them that forgives.
fn forgiving(certificate: &[u8]) -> Option<CertificateNames> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = CertificateNames::default();
    for name in &certificate.subject_alternative_name().ok()??.value.general_names {
        match name {
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            GeneralName::DNSName(name) => names.dns_names.push((*name).to_owned()),
            _ => {}
        }
    }
    Some(names)
}

/// What stands behind the tag and length of a list.
fn inner(bytes: &[u8]) -> &[u8] {
    match bytes[1] {
        0x82 => &bytes[4..],
        0x81 => &bytes[3..],
        _ => &bytes[2..],
    }
}

/// A length as DER has it.
fn length(length: usize) -> Vec<u8> {
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..0x80 => vec![low],
        0x80..0x100 => vec![0x81, low],
        _ => vec![0x82, high, low],
    }
}
