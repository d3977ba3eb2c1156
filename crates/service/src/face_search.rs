//! Searches one face among all that an application knows: enrolled faces of sessions, and faces on its lists.
//!
//! Off unless the application's owner switched it on and said what for
//! ([`Settings`]): looking for one person among many is another thing than
//! comparing two pictures (Regulation (EU) 2024/1689, recital 15). Templates lie
//! sealed in the store; the index is rebuilt from them in memory and catches up
//! before every search, so that what another process enrolled is found. A hit
//! counts only if its row still stands: an erased face is never returned.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use checks::faces::Look;
use evidence::{Signal, catalogue::Action};
use face::{ExactIndex, FaceIndex, Template};
use serde_json::{Value, json};
use store::{
    Application, ApplicationId, EntryId, Session, SessionId, SubjectId, SubjectKey, TemplateId, Tx,
    rows::lists::ListedFace,
};
use uuid::Uuid;
use workflow::{Feature, Finding, NodeConfig, SessionStatus};

use crate::{
    Service,
    access::Access,
    pool::Work,
    rfc3339,
    sessions::{details_of, state_of},
    standalone::{Answer, Common, StandaloneError, judged_single, look_at},
};

/// Most matches of an answer.
const MAX_MATCHES: usize = 5;
/// Rows read at once when the index catches up.
const PAGE: i64 = 2_000;
/// Rows are looked for again that are this much older than the newest one: transactions do not commit in the order of their ids.
const OVERLAP_MS: u64 = 60_000;
/// A match is called certain while fewer wrong ones than this are expected among all enrolled faces.
const CERTAIN_FALSE_MATCHES: f64 = 0.01;
/// … and possible while fewer than this are.
const POSSIBLE_FALSE_MATCHES: f64 = 0.1;

/// What an application's owner allows with faces. Without settings: no search, and consent is asked on the hosted page only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// For what faces are searched; `None` switches the search off.
    pub face_search: Option<String>,
    /// Whether single checks on faces need a recorded consent.
    pub require_consent: bool,
}

impl Settings {
    /// The settings of an application.
    pub fn of(application: &Application) -> Self {
        let purpose = application.settings["face_search"]["purpose"].as_str();
        Self {
            face_search: purpose.filter(|purpose| !purpose.trim().is_empty()).map(str::to_owned),
            require_consent: application.settings["require_consent"] == true,
        }
    }
}

/// Which matches are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchType {
    /// The most similar ones, whatever they are.
    MostSimilar,
    /// Only faces on a blocklist, and faces of approved sessions.
    BlocklistedOrApproved,
}

/// A face to search for.
#[derive(Debug, Clone)]
pub struct FaceSearch {
    /// Picture of the person.
    pub user: Vec<u8>,
    /// Which matches are asked for.
    pub search_type: SearchType,
    /// Whether turned pictures are tried.
    pub rotate: bool,
    /// The rest.
    pub common: Common,
}

/// What the index holds of one application.
struct Gallery {
    sessions: ExactIndex,
    entries: ExactIndex,
    /// Rows after these ids are new.
    after: (Option<TemplateId>, Option<EntryId>),
}

/// The indexes in memory, by application.
#[derive(Default)]
pub(crate) struct Galleries(Mutex<HashMap<GalleryOf, SharedGallery>>);

/// Whose faces, by which embedder.
type GalleryOf = (ApplicationId, String);
/// Searched by several requests.
type SharedGallery = Arc<Mutex<Gallery>>;

/// A face that is like the one searched for, with what stands behind it.
struct Match {
    similarity: f64,
    kind: Kind,
    blocklisted: bool,
    allowlisted: bool,
}

enum Kind {
    Session(Box<Session>),
    Entry(Box<ListedFace>),
}

/// What a search gave.
pub(crate) struct Found {
    matches: Vec<Match>,
    /// Faces that were searched.
    enrolled: usize,
}

/// The id before which every version 7 UUID of that millisecond lies.
fn first_id_of(millis: u64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

/// From where rows are looked for the next time.
fn watermark(newest: Uuid) -> Uuid {
    let (seconds, nanos) = newest.get_timestamp().map_or((0, 0), |time| time.to_unix());
    first_id_of((seconds * 1_000 + u64::from(nanos / 1_000_000)).saturating_sub(OVERLAP_MS))
}

fn vector_of(value: &Value) -> Option<Vec<f32>> {
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        value["template"].as_str().unwrap_or_default(),
    )
    .ok()?;
    Some(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// A template as a list's entry holds it.
pub(crate) fn entry_template(template: &Template) -> String {
    let bytes: Vec<u8> = template.vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

/// The embedder's settings are part of a template's name, so that only equal ones compare.
pub(crate) fn template_of(engine: &face::Engine, look: &Look) -> Result<Option<Template>, StandaloneError> {
    let Some(face) = look.main() else { return Ok(None) };
    engine.template(&look.image, face).map_err(|error| StandaloneError::Failed(Box::new(error)))
}

impl Service {
    /// The settings of an application for faces.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn face_settings(&self, application: ApplicationId) -> Result<Settings, store::Error> {
        self.store
            .read(move |tx| {
                Ok(tx
                    .application(application)?
                    .map(|application| Settings::of(&application))
                    .unwrap_or_default())
            })
            .await
    }

    fn gallery(&self, application: ApplicationId, model: &str, dimension: usize) -> SharedGallery {
        let mut galleries = self.galleries.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(Mutex::new(Gallery {
                sessions: ExactIndex::new(model, dimension),
                entries: ExactIndex::new(model, dimension),
                after: (None, None),
            }))
        };
        Arc::clone(galleries.entry((application, model.to_owned())).or_insert_with(new))
    }

    /// Reads what was enrolled since the last time.
    async fn catch_up(
        &self,
        application: ApplicationId,
        model: &str,
        gallery: &SharedGallery,
    ) -> Result<(), store::Error> {
        let lock = || gallery.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut template, mut entry) = lock().after;
        loop {
            let name = model.to_owned();
            let page = self.store.read(move |tx| tx.faces(application).page(&name, template, PAGE)).await?;
            let full = page.len() == usize::try_from(PAGE).unwrap_or(0);
            template = page.last().map(|row| row.id).or(template);
            let mut gallery = lock();
            for row in page {
                if let Some(template) = Template::new(row.embedding.0, model) {
                    // A row that does not fit the embedder cannot be compared with it.
                    let _ = gallery.sessions.insert(row.id.0.as_u128(), &template);
                }
            }
            if !full {
                break;
            }
        }
        loop {
            let page = self.store.read(move |tx| tx.lists(application).faces(entry, PAGE)).await?;
            let full = page.len() == usize::try_from(PAGE).unwrap_or(0);
            entry = page.last().map(|row| row.id).or(entry);
            let mut gallery = lock();
            for row in page {
                let fits = row.value["model"] == model;
                let template = vector_of(&row.value).filter(|_| fits).and_then(|v| Template::new(v, model));
                match template {
                    Some(template) => drop(gallery.entries.insert(row.id.0.as_u128(), &template)),
                    None => {
                        tracing::warn!(entry.id = %row.id, "a listed face was enrolled with another embedder or recipe and is not compared");
                    }
                }
            }
            if !full {
                break;
            }
        }
        lock().after = (template.map(|id| watermark(id.0).into()), entry.map(|id| watermark(id.0).into()));
        Ok(())
    }

    /// Embeds again what another recipe enrolled, and builds the indexes of every application that searches, so that
    /// the first search does not wait for them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn warm_face_search(&self) -> Result<(), store::Error> {
        let Ok(engine) = self.engines.faces() else { return Ok(()) };
        let applications = self.store.read(|tx| tx.applications()).await?;
        for application in applications {
            if Settings::of(&application).face_search.is_some() {
                self.renew_faces(application.id).await?;
                let gallery = self.gallery(application.id, engine.model(), dimension_of(&engine));
                self.catch_up(application.id, engine.model(), &gallery).await?;
            }
        }
        Ok(())
    }

    /// Searches a template; `not_of` leaves out one person's own faces.
    pub(crate) async fn find_face(
        &self,
        application: ApplicationId,
        template: Template,
        search_type: SearchType,
        not_of: Option<SubjectId>,
    ) -> Result<Found, StandaloneError> {
        let engine = self.engines.faces().map_err(|error| StandaloneError::Failed(Box::new(error)))?;
        let calibration = engine.calibration().clone();
        #[expect(clippy::cast_possible_truncation, reason = "a cosine")]
        let floor = calibration.cosine(calibration.decline_below) as f32;
        let gallery = self.gallery(application, &template.model, template.vector.len());
        self.catch_up(application, &template.model, &gallery).await?;
        let mut limit = 4 * MAX_MATCHES;
        loop {
            let (searched, query) = (Arc::clone(&gallery), template.clone());
            let scanned = self
                .pool
                .run(Work::Search, move || {
                    let gallery = searched.lock().unwrap_or_else(PoisonError::into_inner);
                    let sessions = gallery.sessions.search(&query, limit, floor)?;
                    let entries = gallery.entries.search(&query, limit, floor)?;
                    Ok::<_, face::index::IndexError>((
                        sessions,
                        entries,
                        gallery.sessions.len() + gallery.entries.len(),
                    ))
                })
                .await?;
            let (sessions, entries, enrolled) =
                scanned.map_err(|error| StandaloneError::Failed(Box::new(error)))?;
            let exhausted = sessions.len() < limit && entries.len() < limit;
            let score = |cosine: f32| calibration.score(f64::from(cosine));
            let hits = Hits {
                sessions: sessions.iter().map(|h| (Uuid::from_u128(h.id), score(h.cosine))).collect(),
                entries: entries.iter().map(|h| (Uuid::from_u128(h.id), score(h.cosine))).collect(),
            };
            let (matches, gone) =
                self.store.read(move |tx| stand_behind(tx, application, hits, search_type, not_of)).await?;
            if !gone.is_empty() {
                let mut gallery = gallery.lock().unwrap_or_else(PoisonError::into_inner);
                for id in &gone {
                    gallery.sessions.erase(id.as_u128());
                    gallery.entries.erase(id.as_u128());
                }
            }
            if matches.len() >= MAX_MATCHES || exhausted || limit > 2_000 {
                let mut matches = matches;
                matches.truncate(MAX_MATCHES);
                return Ok(Found { matches, enrolled });
            }
            // What was found is filtered away: look further down.
            limit *= 4;
        }
    }

    /// Searches a face, as `POST /v3/face-search/` asks.
    ///
    /// # Errors
    /// [`StandaloneError`]: `Disabled` while the application has no purpose for it.
    pub async fn face_search(
        &self,
        access: &Access,
        input: FaceSearch,
        public_url: &str,
    ) -> Result<Answer, StandaloneError> {
        let application = access.application;
        let settings = self.consented(access, &input.common).await?;
        if settings.face_search.is_none() {
            return Err(StandaloneError::Disabled);
        }
        let engines = self.faces_ready()?;
        let common = input.common.clone();
        let (bytes, rotate) = (input.user.clone(), input.rotate);
        let (look, template) = self
            .pool
            .run(Work::Check, move || {
                let mut look = look_at(&engines, "user_image", &bytes)?;
                look.keep_upright(rotate);
                let engine = engines.faces().map_err(|error| StandaloneError::Failed(Box::new(error)))?;
                let template = template_of(&engine, &look)?;
                Ok::<_, StandaloneError>((look, template))
            })
            .await??;
        let template = template.ok_or(StandaloneError::NoFace)?;
        let found = self.find_face(application, template.clone(), input.search_type, None).await?;
        let mut finding = Finding::done(Feature::AgeEstimation);
        finding.signals = checks::faces::several_faces(&look);
        finding.signals.extend(found.signals(&template.model));
        let matches = self.show(application, &found, public_url).await?;
        let block = json!({
            "total_matches": matches.len(),
            "matches": matches,
            "user_image": checks::faces::entities(&look),
            "model": template.model,
            "enrolled_faces": found.enrolled,
            "expected_false_matches": {
                "certain_below": CERTAIN_FALSE_MATCHES,
                "possible_below": POSSIBLE_FALSE_MATCHES,
            },
        });
        let mut config = NodeConfig::default();
        // Who searches wants to find: that a face is known is an answer here, not a failure.
        for risk in ["DUPLICATED_FACE", "POSSIBLE_DUPLICATED_FACE", "MULTIPLE_FACES_DETECTED"] {
            config.actions.insert(risk.to_owned(), Action::NoAction);
        }
        let (block, status) = judged_single(Feature::AgeEstimation, config, &finding, block);
        let pictures = vec![("selfie", input.user)];
        let answer = self
            .answer_check(access, &common, "FACE_SEARCH", Feature::Liveness, block, status, pictures)
            .await?;
        if common.save {
            self.enrol(application, SessionId(answer.request), &template).await?;
        }
        Ok(answer)
    }

    /// Searches the face of a session that is being decided: adds what was found to its liveness check.
    pub(crate) async fn search_session(
        &self,
        application: ApplicationId,
        subject: SubjectId,
        template: &Template,
        examined: &mut checks::Examined,
    ) -> Result<(), crate::jobs::JobError> {
        let kind = SearchType::MostSimilar;
        let (signals, matches) =
            match self.find_face(application, template.clone(), kind, Some(subject)).await {
                Ok(found) => {
                    let mut block = json!({ "matches": self.show(application, &found, "").await? });
                    without_others(&mut block);
                    (found.signals(&template.model), block["matches"].take())
                }
                Err(StandaloneError::Busy) => return Err(crate::jobs::JobError::Busy),
                Err(StandaloneError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    let shows = json!({ "reason": checks::chain(&error) });
                    let risk = "COULD_NOT_PERFORM_FACE_SEARCH";
                    (vec![Signal::certain(risk, &template.model, shows)], json!([]))
                }
            };
        add_matches(examined, signals, matches);
        Ok(())
    }

    /// Enrols the face of a session, sealed under the key of its person; the next search finds it.
    pub(crate) async fn enrol(
        &self,
        application: ApplicationId,
        session: SessionId,
        template: &Template,
    ) -> Result<(), store::Error> {
        let template = template.clone();
        self.store
            .write(move |tx| {
                let Some(found) = tx.sessions(application).find(session)? else { return Ok(()) };
                enrol_in(tx, application, session, &found.key, &template)
            })
            .await
    }

    /// Matches as the API shows them.
    pub(crate) async fn show(
        &self,
        application: ApplicationId,
        found: &Found,
        public_url: &str,
    ) -> Result<Vec<Value>, store::Error> {
        let mut shown = Vec::new();
        for entry in &found.matches {
            let mut row = json!({
                "session_id": null, "session_number": null,
                "similarity_percentage": (entry.similarity * 100.0).round() / 100.0,
                "source": "list_entry", "vendor_data": null, "verification_date": null, "user_details": null,
                "match_image_url": null, "status": null, "is_blocklisted": entry.blocklisted,
                "is_allowlisted": entry.allowlisted, "api_service": null,
            });
            match &entry.kind {
                Kind::Entry(listed) => {
                    row["vendor_data"] = listed.value["display_label"].clone();
                    row["session_id"] = listed.value["reference_session_id"].clone();
                    row["source"] = json!("list_entry");
                }
                Kind::Session(session) => {
                    let details = details_of(session)?;
                    let state = state_of(session)?;
                    let selfie = state.objects.get("selfie").copied();
                    let url = public_url.to_owned();
                    let link = match selfie {
                        Some(object) => Some(
                            self.store
                                .read(move |tx| crate::media::link(tx, application, object, &url))
                                .await?,
                        ),
                        None => None,
                    };
                    let decision = session.decision.as_ref();
                    let holder = decision.and_then(|decision| checks::document::stored_identity(&decision.0));
                    row["source"] = json!("session");
                    row["session_id"] = json!(session.id);
                    row["session_number"] = json!(session.number);
                    row["vendor_data"] = json!(details.vendor_data);
                    row["verification_date"] = json!(session.decided_at.map(rfc3339));
                    let value = |text: &checks::facts::Text| text.as_ref().map(|text| text.value.clone());
                    row["user_details"] = json!(holder.map(|holder| json!({
                        "full_name": value(&holder.full_name),
                        "document_type": value(&holder.document_type),
                        "document_number": value(&holder.document_number),
                    })));
                    row["match_image_url"] = json!(link);
                    row["status"] = json!(session.status);
                    row["api_service"] = json!(session.service);
                }
            }
            shown.push(row);
        }
        Ok(shown)
    }
}

/// Says that the workflow counts on a search which the application does not make.
pub(crate) fn say_switched_off(examined: &mut checks::Examined) {
    let shows = json!({ "reason": "face search is switched off for this application" });
    let signal = Signal::certain("COULD_NOT_PERFORM_FACE_SEARCH", "face.search/1", shows);
    add_matches(examined, vec![signal], json!([]));
}

/// Adds what a search saw to the liveness check, or to the face match of a workflow without one.
fn add_matches(examined: &mut checks::Examined, signals: Vec<Signal>, matches: Value) {
    let host = [Feature::Liveness, Feature::FaceMatch]
        .into_iter()
        .find_map(|feature| examined.definition().node(feature).map(|node| node.id.clone()));
    if let Some(ran) = host.and_then(|node| examined.ran_mut(&node)) {
        ran.finding.signals.extend(signals);
        ran.block["matches"] = matches;
    }
}

/// Takes out of a result what belongs to other people, before it is kept with this person's: erasing them must erase it.
pub(crate) fn without_others(block: &mut Value) {
    for found in block["matches"].as_array_mut().into_iter().flatten() {
        for field in ["vendor_data", "user_details", "match_image_url"] {
            found[field] = Value::Null;
        }
    }
}

/// Enrols within a transaction.
pub(crate) fn enrol_in(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    session: SessionId,
    key: &SubjectKey,
    template: &Template,
) -> Result<(), store::Error> {
    tx.faces(application).delete_of_session(session)?;
    tx.faces(application).enrol(Some(session), key, &template.model, &template.vector).map(|_| ())
}

/// Length of an embedder's templates.
fn dimension_of(engine: &face::Engine) -> usize {
    engine.dimension()
}

/// Hits of the index with their scores, unproven.
struct Hits {
    sessions: Vec<(Uuid, f64)>,
    entries: Vec<(Uuid, f64)>,
}

/// Finds the rows behind hits; ids whose row is gone come back for the index to forget.
fn stand_behind(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    hits: Hits,
    search_type: SearchType,
    not_of: Option<SubjectId>,
) -> Result<(Vec<Match>, Vec<Uuid>), store::Error> {
    let mut gone = Vec::new();
    // The best score of each session, and of each entry.
    let mut sessions: BTreeMap<SessionId, f64> = BTreeMap::new();
    for (id, score) in hits.sessions {
        match tx.faces(application).session_of(id.into())? {
            Some((_, subject)) if Some(subject) == not_of => {}
            Some((Some(session), _)) => {
                let best = sessions.entry(session).or_insert(score);
                *best = best.max(score);
            }
            Some((None, _)) => {}
            None => gone.push(id),
        }
    }
    let mut entries = Vec::new();
    for (id, score) in hits.entries {
        match tx.lists(application).face(id.into())? {
            Some(entry) => entries.push((entry, score)),
            None => gone.push(id),
        }
    }
    let mut matches = Vec::new();
    for (id, similarity) in sessions {
        let Some(session) = tx.sessions(application).find(id)? else { continue };
        let on = |kind: &str| {
            entries.iter().any(|(entry, _)| {
                entry.list_type == kind && entry.value["reference_session_id"] == json!(session.id)
            })
        };
        let (blocklisted, allowlisted) = (on("blocklist"), on("allowlist"));
        matches.push(Match { similarity, blocklisted, allowlisted, kind: Kind::Session(Box::new(session)) });
    }
    for (entry, similarity) in entries {
        let reference = &entry.value["reference_session_id"];
        let shown = matches
            .iter()
            .any(|known| matches!(&known.kind, Kind::Session(session) if json!(session.id) == *reference));
        // An entry made from a session that is shown anyway only marks that one.
        if !shown {
            matches.push(Match {
                similarity,
                blocklisted: entry.list_type == "blocklist",
                allowlisted: entry.list_type == "allowlist",
                kind: Kind::Entry(Box::new(entry)),
            });
        }
    }
    if search_type == SearchType::BlocklistedOrApproved {
        matches.retain(|found| {
            found.blocklisted
                || matches!(&found.kind, Kind::Session(session) if session.status == SessionStatus::Approved.as_str())
        });
    }
    // A blocklisted face outranks a more similar one that is not: five matches must not hide it.
    matches.sort_by(|a, b| b.blocklisted.cmp(&a.blocklisted).then(b.similarity.total_cmp(&a.similarity)));
    Ok((matches, gone))
}

impl Found {
    /// Wrong matches expected among all enrolled faces at a score: the score's false match rate times their number.
    fn expected_false_matches(&self, score: f64) -> f64 {
        // A score is 10 - 10·log10(FMR), see `face::score`.
        10_f64.powf((10.0 - score) / 10.0) * f64::from(u32::try_from(self.enrolled).unwrap_or(u32::MAX))
    }

    /// Blocklisted and duplicated faces as signals: certain, possible, or too unlike among so many to mean anything.
    pub(crate) fn signals(&self, model: &str) -> Vec<Signal> {
        let mut signals: BTreeMap<&str, Signal> = BTreeMap::new();
        for found in self.matches.iter().filter(|found| !found.allowlisted) {
            let expected = self.expected_false_matches(found.similarity);
            let risk = match (found.blocklisted, expected) {
                (true, expected) if expected < CERTAIN_FALSE_MATCHES => "FACE_IN_BLOCKLIST",
                // A person on the blocklist must not slip through because many are enrolled.
                (true, _) => "POSSIBLE_FACE_IN_BLOCKLIST",
                (false, expected) if expected < CERTAIN_FALSE_MATCHES => "DUPLICATED_FACE",
                (false, expected) if expected < POSSIBLE_FALSE_MATCHES => "POSSIBLE_DUPLICATED_FACE",
                (false, _) => continue,
            };
            if matches!(found.kind, Kind::Entry(_)) && !found.blocklisted {
                continue;
            }
            let session = match &found.kind {
                Kind::Session(session) => json!(session.id),
                Kind::Entry(entry) => entry.value["reference_session_id"].clone(),
            };
            let shows = json!({
                "similarity_percentage": found.similarity,
                "session_id": session,
                "expected_false_matches": expected,
                "enrolled_faces": self.enrolled,
            });
            signals.entry(risk).or_insert_with(|| Signal::certain(risk, model, shows));
        }
        signals.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(similarity: f64, enrolled: usize, list_type: &str) -> Found {
        let entry = ListedFace {
            id: EntryId(Uuid::nil()),
            list: store::ListId(Uuid::nil()),
            list_type: list_type.to_owned(),
            subject: None,
            value: store::Pii(json!({})),
        };
        let matches = vec![Match {
            similarity,
            kind: Kind::Entry(Box::new(entry)),
            blocklisted: list_type == "blocklist",
            allowlisted: list_type == "allowlist",
        }];
        Found { matches, enrolled }
    }

    #[test]
    fn the_same_score_means_less_among_more_faces() {
        let risk = |score, enrolled| {
            found(score, enrolled, "blocklist").signals("m/1").first().map(|signal| signal.risk.clone())
        };
        // 60 is one false match in 100,000 pairs.
        assert_eq!(risk(60.0, 100).as_deref(), Some("FACE_IN_BLOCKLIST"));
        assert_eq!(risk(60.0, 1_000_000).as_deref(), Some("POSSIBLE_FACE_IN_BLOCKLIST"));
        assert!(found(99.0, 1, "allowlist").signals("m/1").is_empty());
    }

    #[test]
    fn rows_are_looked_for_again_within_the_overlap() {
        let newest = first_id_of(1_800_000_000_000);
        assert!(watermark(newest) < newest);
        assert_eq!(watermark(newest), first_id_of(1_800_000_000_000 - OVERLAP_MS));
    }

    #[test]
    fn the_search_is_off_until_a_purpose_is_stated() {
        let application = |settings| Application {
            id: ApplicationId(Uuid::nil()),
            name: String::new(),
            environment: "live".to_owned(),
            settings,
            created_at: store::Time(0),
            updated_at: store::Time(0),
        };
        assert_eq!(Settings::of(&application(json!({}))), Settings::default());
        assert_eq!(
            Settings::of(&application(json!({ "face_search": { "purpose": " " } }))).face_search,
            None
        );
        let on = Settings::of(&application(json!({ "face_search": { "purpose": "double accounts" } })));
        assert_eq!(on.face_search.as_deref(), Some("double accounts"));
    }
}
