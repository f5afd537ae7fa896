"""From the published database to other programs' files: loads the survey once and calls the exporter of each dialect."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ctwatch import __version__, survey_histories
from ctwatch.config import Config
from ctwatch.export import camtrap_dp, camtrapr, coco, geojson, megadetector, timelapse, wildlife_insights
from ctwatch.export import occupancy as ready_made
from ctwatch.export.occupancy import OccupancyFiles
from ctwatch.export.written import Written
from ctwatch.occupancy import Compared
from ctwatch.results import not_written
from ctwatch.store import queries, surveys
from ctwatch.store.database import PUBLISHED_NAME
from ctwatch.store.publish import open_published
from ctwatch.survey import Publication, Survey
from ctwatch.tables import load_taxa

logger = logging.getLogger(__name__)

PEOPLE = ("Homo sapiens",)
"""Left out of what models take, unless asked for."""
_AS_CONFIGURED = OccupancyFiles()

Write = Callable[[Path, Survey, Publication], Written]
DIALECTS: Mapping[str, Write] = {
    "camtrap-dp": camtrap_dp.write,
    "megadetector": megadetector.write,
    "coco": coco.write,
    "timelapse": timelapse.write,
    "wildlife-insights": wildlife_insights.write,
    "geojson": geojson.write,
}
"""Exporters that need the survey and the publication alone."""


def load_survey(config: Config, *, frames: bool = True) -> Survey:
    """Read the published survey; raises StoreError where nothing was published yet.

    Without `frames` it holds what was decided of events alone, which is all that histories need.
    """
    with open_published(config.store_folder) as connection:
        return surveys.load(connection, __version__, frames=frames)


def people_left_out(config: Config) -> str | None:
    """Return a sentence if photographs of people are not in the published copy, so that nobody can be given them."""
    with open_published(config.store_folder) as connection:
        if queries.publication(connection).with_people:
            return None
    return f"photographs of people are not in {PUBLISHED_NAME}: store.publish_people is false, so none can be shown"


def publication(config: Config, survey: Survey, *, with_private: bool = False) -> Publication:
    """Gather what exchange formats ask beside the rows; raises ConfigError for a taxa table that cannot be read."""
    project = config.project
    created = survey.published_at or datetime.now(UTC).replace(tzinfo=None)
    return Publication(
        title=project.title or f"Camera-trap survey {config.base.absolute().name}",
        created_at=created.replace(microsecond=0),
        description=project.description,
        contributors=project.contributors,
        sampling_design=project.sampling_design,
        data_licence=project.data_licence,
        media_licence=project.media_licence,
        country=project.country,
        taxa=load_taxa(config),
        coordinate_decimals=project.coordinate_decimals,
        utc_offset=config.deployments.utc_offset,
        event_gap_s=config.events.event_gap_s,
        with_private=with_private,
    )


def export(
    config: Config,
    names: Sequence[str],
    out: Path,
    *,
    with_private: bool = False,
    occupancy: OccupancyFiles = _AS_CONFIGURED,
) -> Written:
    """Write the survey in the named dialects, each into a folder of its own below `out`; raises StoreFull, StoreError."""
    survey = load_survey(config, frames=any(name != "occupancy" for name in names))
    asked = publication(config, survey, with_private=with_private)
    paths: list[Path] = []
    sentences: list[str] = []
    for name in names:
        folder = out / name
        try:
            if name == "occupancy":
                written = _occupancy(config, folder, survey, occupancy, with_private=with_private)
            elif name == "camtrapr":
                written = camtrapr.write(
                    folder,
                    survey,
                    independence_min=config.occupancy.independence_min,
                    compared=Compared(config.occupancy.independence_from),
                    exclude=() if with_private else PEOPLE,
                    with_private=with_private,
                )
            else:
                written = DIALECTS[name](folder, survey, asked)
        except OSError as error:
            raise not_written(folder, error) from error
        paths += written.paths
        sentences += [f"{name}: {sentence}" for sentence in written.sentences]
    return Written(tuple(paths), tuple(sentences))


def _occupancy(config: Config, folder: Path, survey: Survey, options: OccupancyFiles, *, with_private: bool) -> Written:
    """Write the ready-made files of all species; histories hold counts, which the exporter turns into what is asked."""
    rules = replace(config.occupancy.rules(), count=True)
    found = survey_histories.histories_of(
        survey,
        rules,
        independence_min=config.occupancy.independence_min,
        compared=Compared(config.occupancy.independence_from),
    )
    covariates, told = ready_made.site_covariates(survey)
    histories = [history for history in found.histories if with_private or history.scientific_name not in PEOPLE]
    people = (
        ("people have no history here (--with-people writes one)",) if len(histories) < len(found.histories) else ()
    )
    sentences = (*found.sentences, *people, *told)
    written = ready_made.write(
        folder,
        found.surveyed,
        histories,
        covariates=covariates,
        options=replace(options, counts=config.occupancy.count),
        sentences=sentences,
    )
    return Written(written.paths, (*sentences, *written.sentences))
