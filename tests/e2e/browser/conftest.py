"""A real browser, without a screen."""

import shutil
import warnings

import pytest


@pytest.fixture(scope="session")
def chrome():
    """Chromium, driven by Selenium; one for all tests of a process."""
    driver = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not (driver and browser):
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in (
        "--headless=new", "--no-sandbox", "--window-size=1500,900",
        "--disable-dev-shm-usage",
        # WebGL by the processor, for the viewer.
        "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Selenium says of itself
        opened = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(driver)
        )
    yield opened
    opened.quit()
