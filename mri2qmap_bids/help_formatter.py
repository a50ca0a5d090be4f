"""How help texts show defaults."""

import argparse


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows a default only if there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, []):
            return action.help
        return super()._get_help_string(action)
