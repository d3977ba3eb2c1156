//! The n-th write, sync, commit or sealing fails while list changes are carried to watched people, for every n.
//!
//! After each failure the work is taken up again, and every alert is there exactly once: no person is missed,
//! nobody is told twice.

#![expect(clippy::unwrap_used, reason = "what the test's helpers do not find has failed the test")]

use std::{path::Path, sync::Arc};

use service::{
    Engines, Service,
    access::Access,
    screening::{Asked, Person, Settings},
    standalone::Common,
};
use store::{Config, Store, TestClock, Time, fail};

const PEOPLE: &[&str] = &["Amaurot Hythlodaeus", "Raphael Zapoletes", "Abraxa Nephelokokkygia"];

/// Imports a version in which the entry of every person has one alias more than in the one before.
fn import(folder: &Path, version: usize) {
    let mut text = "id,schema,name,aliases,topics,notes\n".to_owned();
    for (number, name) in PEOPLE.iter().enumerate() {
        text.push_str(&format!("{number},Person,{name},Wythern Quorx{version},sanction,\n"));
    }
    let file = folder.join("own.csv");
    std::fs::write(&file, text).unwrap();
    let lists = aml::lists::ListStore::new(&folder.join("aml"));
    lists.import("own", aml::import::Format::Csv, &file, 1_000, false).unwrap();
    lists.build(&folder.join("aml/index")).unwrap();
}

async fn enrol(service: &Service, access: &Access, name: &str) -> store::SessionId {
    let settings = Settings { monitoring: true, ..Settings::default() };
    let asked = Asked::new(&Person { full_name: name.to_owned(), ..Person::default() }, settings);
    let common = Common { save: true, vendor_data: Some(name.to_owned()), metadata: None };
    service.screen(access, asked, common).await.unwrap().request.into()
}

/// Alerts and activity events of a person, and the status of their session.
async fn told(service: &Service, access: &Access, id: store::SessionId) -> (usize, usize) {
    let application = access.application;
    service
        .store()
        .read(move |tx| {
            let session = tx.sessions(application).find(id)?.unwrap();
            let alerts = tx.screenings(application).alerts_of(&session.key)?.len();
            let events = tx.events(application).of_session(id)?;
            Ok::<_, store::Error>((
                alerts,
                events.iter().filter(|event| event.kind == "activity.created").count(),
            ))
        })
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_single_failure_every_alert_is_there_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::at(Time::from_seconds(1_767_225_600)));
    let mut config = Config::in_folder(folder.path());
    config.clock = Arc::clone(&clock) as _;
    let store = Store::open(config).await.unwrap();
    let service =
        Service::new(store, Engines::open(&folder.path().join("no-models")).unwrap(), folder.path());
    let ready = service.make_ready("test").await.unwrap();
    let key = service.create_key(ready.application, "test", Vec::new()).await.unwrap().api_key;
    let access = service.authenticate(&key).await.unwrap().unwrap();

    import(folder.path(), 0);
    let mut sessions = Vec::new();
    for name in PEOPLE {
        sessions.push(enrol(&service, &access, name).await);
    }
    assert_eq!(service.follow_lists().await.unwrap(), 0, "everybody was screened against the lists in use");

    let mut reached = std::collections::BTreeSet::new();
    let mut failures = 0;
    for nth in 1..400 {
        import(folder.path(), nth);
        fail::arm(u32::try_from(nth).unwrap());
        let _ = service.follow_lists().await;
        let _ = service.run_ready().await;
        reached.extend(fail::reached());
        let injected = fail::disarm();
        // The next look, after leases and waits are over, takes up what was left.
        while {
            clock.advance_seconds(600);
            service.follow_lists().await.unwrap() + service.run_ready().await.unwrap() > 0
        } {}
        for (session, name) in sessions.iter().zip(PEOPLE) {
            assert_eq!(told(&service, &access, *session).await, (nth, nth), "{name} after failure {nth}");
        }
        if !injected {
            break;
        }
        failures += 1;
    }
    assert!(failures >= 20, "only {failures} failures were injected");
    for point in ["database.commit", "audit.append", "seal.encrypt", "database.execute"] {
        assert!(reached.contains(point), "{point} was never reached: {reached:?}");
    }
    let report = service.store().verify_audit(None).await.unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}
