"""The fonts that come with the package, regular and bold, and their licences; see LICENSES/."""
