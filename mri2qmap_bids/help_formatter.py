"""How help texts show defaults."""

import argparse


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows a default only if there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # Flags take no value; zero is a default, though it equals False.
        if action.nargs == 0 or action.default is None or action.default == []:
            return action.help
        if isinstance(action.default, list):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)
