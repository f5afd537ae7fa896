"""The survey as a whole from the published database: its figures, and the page that people read."""

from pathlib import Path
from typing import TYPE_CHECKING

from ctwatch.config import Config
from ctwatch.exchange import load_survey, publication
from ctwatch.store.publish import open_published
from ctwatch.store.queries import table
from ctwatch.survey_figures import figures
from ctwatch.survey_figures.tables import SurveyFigures

if TYPE_CHECKING:
    from ctwatch.page import Written


def survey_figures_of(config: Config) -> SurveyFigures:
    """Compute the figures behind the reports on the survey as a whole."""
    return figures(
        load_survey(config),
        independence_min=config.occupancy.independence_min,
        duplicate_files=_duplicates(config),
    )


def write_page(config: Config, path: Path, *, with_people: bool = False) -> "Written":
    """Write the survey as one page of HTML that needs nothing else; nobody is on it unless asked for."""
    from ctwatch import page  # draws pictures, which the figures alone do not need

    survey = load_survey(config)
    return page.write(
        path,
        survey,
        publication(config, survey, with_private=with_people),
        independence_min=config.occupancy.independence_min,
        duplicate_files=_duplicates(config),
    )


def _duplicates(config: Config) -> int:
    with open_published(config.store_folder) as connection:
        return int(table(connection, "SELECT count(*) FROM duplicates").rows[0][0])
