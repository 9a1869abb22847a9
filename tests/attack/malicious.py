def malicious_trials():
    return {}
